"""Reinforcement learning with remote observers (REINFORCE, Williams 1992).

agent (rank 0)                                 observer (ranks 1, 2, ...)
rpc.remote(...)                            ->  Observer: a cart of its own
observer.rpc_async().run_episode(agent)    ->  until the pole falls:
select_action(observer, state)             <-    ask the agent for an action, take the step
report(observer, reward)                   <-    tell the reward
when all episodes are over: one update of the policy
"""

import argparse
import os
from itertools import count

import numpy as np
from cartpole import CartPole

import nbgrad as torch
import nbgrad.distributed.rpc as rpc
import nbgrad.multiprocessing as mp
import nbgrad.nn as nn
import nbgrad.nn.functional as F
import nbgrad.optim as optim
from nbgrad.distributed.rpc import RRef, remote, rpc_async, rpc_sync
from nbgrad.distributions import Categorical

AGENT, OBSERVER = "agent", "observer{}"

parser = argparse.ArgumentParser(description="REINFORCE with remote observers")
parser.add_argument("--world-size", type=int, default=3)
parser.add_argument("--episodes", type=int, default=30)
parser.add_argument("--gamma", type=float, default=0.99)
parser.add_argument("--seed", type=int, default=543)
args = parser.parse_args()
torch.manual_seed(args.seed)


def call_method(method, rref, *args, **kwargs):
    return method(rref.local_value(), *args, **kwargs)


def remote_method(method, rref, *args, **kwargs):
    return rpc_sync(rref.owner(), call_method, args=[method, rref, *args], kwargs=kwargs)


class Policy(nn.Module):
    def __init__(self):
        super(Policy, self).__init__()  # noqa: UP008
        self.affine1 = nn.Linear(4, 64)
        self.dropout = nn.Dropout(p=0.1)
        self.affine2 = nn.Linear(64, 2)

    def forward(self, x):
        x = F.relu(self.dropout(self.affine1(x)))
        return F.softmax(self.affine2(x), dim=1)


class Observer:
    def __init__(self):
        self.id = rpc.get_worker_info().id
        self.env = CartPole(seed=args.seed + self.id)

    def run_episode(self, agent_rref, n_steps):
        state = self.env.reset()
        for _ in range(n_steps):
            action = remote_method(Agent.select_action, agent_rref, self.id, state)
            state, reward, done = self.env.step(action)
            remote_method(Agent.report_reward, agent_rref, self.id, reward)
            if done:
                break


class Agent:
    def __init__(self, world_size):
        self.agent_rref = RRef(self)
        self.policy = Policy()
        self.optimizer = optim.Adam(self.policy.parameters(), lr=1e-2)
        self.eps = np.finfo(np.float32).eps.item()
        self.observers, self.rewards, self.log_probs = [], {}, {}
        for rank in range(1, world_size):
            info = rpc.get_worker_info(OBSERVER.format(rank))
            self.observers.append(remote(info, Observer))
            self.rewards[info.id], self.log_probs[info.id] = [], []

    def select_action(self, observer, state):
        state = torch.tensor(state).float().unsqueeze(0)
        m = Categorical(self.policy(state))
        action = m.sample()
        self.log_probs[observer].append(m.log_prob(action))
        return action.item()

    def report_reward(self, observer, reward):
        self.rewards[observer].append(reward)

    def run_episode(self, n_steps=0):
        futures = []
        for observer in self.observers:
            futures.append(
                rpc_async(
                    observer.owner(),
                    call_method,
                    args=(Observer.run_episode, observer, self.agent_rref, n_steps),
                )
            )
        for future in futures:
            future.wait()

    def finish_episode(self):
        returns, log_probs = [], []
        for observer, rewards in self.rewards.items():
            R, of_episode = 0, []
            for r in rewards[::-1]:
                R = r + args.gamma * R
                of_episode.insert(0, R)
            returns += of_episode
            log_probs += self.log_probs[observer]
        length = sum(len(rewards) for rewards in self.rewards.values()) / len(self.rewards)
        returns = torch.tensor(returns)
        returns = (returns - returns.mean()) / (returns.std() + self.eps)
        policy_loss = []
        for log_prob, R in zip(log_probs, returns):
            policy_loss.append(-log_prob * R)
        self.optimizer.zero_grad()
        policy_loss = torch.cat(policy_loss).sum()
        policy_loss.backward()
        self.optimizer.step()
        for observer in self.rewards:
            self.rewards[observer], self.log_probs[observer] = [], []
        return length


def run_worker(rank, world_size):
    os.environ.setdefault("MASTER_ADDR", "localhost")
    os.environ.setdefault("MASTER_PORT", "29500")
    if rank == 0:
        rpc.init_rpc(AGENT, rank=rank, world_size=world_size)
        agent, lengths = Agent(world_size), []
        for i_episode in count(1):
            agent.run_episode(n_steps=200)
            lengths.append(agent.finish_episode())
            if i_episode % 10 == 0:
                print(f"Episode {i_episode}\taverage length: {np.mean(lengths[-10:]):.2f}")
            if i_episode >= args.episodes:
                break
    else:
        rpc.init_rpc(OBSERVER.format(rank), rank=rank, world_size=world_size)
    rpc.shutdown()


def main():
    mp.spawn(run_worker, args=(args.world_size,), nprocs=args.world_size, join=True)


if __name__ == "__main__":
    main()
