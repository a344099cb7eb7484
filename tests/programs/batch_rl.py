"""Reinforcement learning whose agent answers a whole batch of observers at once, by `async_execution`.

    observer k                              agent
    select_action_batch(agent, k, state) -> states[k] = state; a Future, so that no thread of the agent waits
                                            the last observer of a round: one forward pass for all states,
    action k                             <- and the future of the round is done

Each observer runs a fixed number of steps in an episode, with a new cart where its pole has fallen, so that all of them
take part in each round.
"""

import argparse
import os
import threading
import time

import numpy as np
from cartpole import CartPole

import nbgrad as torch
import nbgrad.distributed.rpc as rpc
import nbgrad.multiprocessing as mp
import nbgrad.nn as nn
import nbgrad.nn.functional as F
import nbgrad.optim as optim
from nbgrad.distributed.rpc import RRef, remote, rpc_sync
from nbgrad.distributions import Categorical

AGENT, OBSERVER = "agent", "observer{}"

parser = argparse.ArgumentParser(description="REINFORCE, actions selected in batches")
parser.add_argument("--world-size", type=int, default=3)
parser.add_argument("--episodes", type=int, default=10)
parser.add_argument("--steps", type=int, default=60)
parser.add_argument("--gamma", type=float, default=0.95)
parser.add_argument("--seed", type=int, default=543)
args = parser.parse_args()
torch.manual_seed(args.seed)


class Policy(nn.Module):
    def __init__(self, batch=True):
        super().__init__()
        self.affine1 = nn.Linear(4, 64)
        self.affine2 = nn.Linear(64, 2)
        self.dim = 2 if batch else 1

    def forward(self, x):
        return F.softmax(self.affine2(F.relu(self.affine1(x))), dim=self.dim)


class Observer:
    def __init__(self, batch=True):
        self.id = rpc.get_worker_info().id - 1
        self.env = CartPole(seed=args.seed + self.id)
        self.select_action = Agent.select_action_batch if batch else Agent.select_action

    def run_episode(self, agent_rref, n_steps):
        state, n_falls = self.env.reset(), 0
        rewards = torch.zeros(n_steps)
        for step in range(n_steps):
            action = rpc_sync(
                agent_rref.owner(),
                self.select_action,
                args=(agent_rref, self.id, torch.tensor(state)),
            )
            state, reward, done = self.env.step(action)
            if done:
                state, n_falls, reward = self.env.reset(), n_falls + 1, -1.0
            rewards[step] = reward
        return [rewards, n_falls]


class Agent:
    def __init__(self, world_size, batch=True):
        self.agent_rref = RRef(self)
        self.observers = []
        self.policy = Policy(batch)
        self.optimizer = optim.Adam(self.policy.parameters(), lr=1e-2)
        for rank in range(1, world_size):
            info = rpc.get_worker_info(OBSERVER.format(rank))
            self.observers.append(remote(info, Observer, args=(batch,)))
        self.states = torch.zeros(len(self.observers), 1, 4)
        self.batch = batch
        self.log_probs = [] if batch else {k: [] for k in range(len(self.observers))}
        self.future_actions = torch.futures.Future()
        self.lock = threading.Lock()
        self.pending_states = len(self.observers)

    @staticmethod
    @rpc.functions.async_execution
    def select_action_batch(agent_rref, observer, state):
        self = agent_rref.local_value()
        self.states[observer].copy_(state)
        future_action = self.future_actions.then(lambda future: future.wait()[observer].item())
        with self.lock:
            self.pending_states -= 1
            if self.pending_states == 0:
                self.pending_states = len(self.observers)
                m = Categorical(self.policy(self.states.clone()))
                actions = m.sample()
                self.log_probs.append(m.log_prob(actions).t()[0])
                future_actions = self.future_actions
                self.future_actions = torch.futures.Future()
                future_actions.set_result(actions.cpu())
        return future_action

    @staticmethod
    def select_action(agent_rref, observer, state):
        self = agent_rref.local_value()
        m = Categorical(self.policy(state.unsqueeze(0)))
        action = m.sample()
        self.log_probs[observer].append(m.log_prob(action)[0])
        return action.item()

    def run_episode(self, n_steps):
        futures = []
        for observer in self.observers:
            futures.append(observer.rpc_async().run_episode(self.agent_rref, n_steps))
        results = torch.futures.wait_all(futures)
        rewards = torch.stack([result[0] for result in results]).t()  # (steps, observers)
        n_falls = sum(result[1] for result in results) / len(results)
        if self.batch:
            log_probs = torch.stack(self.log_probs)
        else:
            log_probs = torch.stack([torch.stack(self.log_probs[k]) for k in self.log_probs]).t()
        loss = self.train(log_probs, rewards)
        self.log_probs = [] if self.batch else {k: [] for k in self.log_probs}
        return loss, n_falls

    def train(self, log_probs, rewards):
        n_steps = rewards.size(0)
        returns = torch.zeros(rewards.shape)
        running = torch.zeros(rewards.size(1))
        for step in reversed(range(n_steps)):
            running = rewards[step] + args.gamma * running
            returns[step] = running
        returns = (returns - returns.mean()) / (returns.std() + 1e-6)
        self.optimizer.zero_grad()
        loss = -torch.sum(torch.mul(log_probs, returns)) / log_probs.numel()
        loss.backward()
        self.optimizer.step()
        return loss.item()


def run_worker(rank, world_size, n_episodes, batch):
    os.environ.setdefault("MASTER_ADDR", "localhost")
    os.environ.setdefault("MASTER_PORT", "29501")
    if rank == 0:
        rpc.init_rpc(AGENT, rank=rank, world_size=world_size)
        agent, falls = Agent(world_size, batch), []
        start = time.time()
        for _ in range(n_episodes):
            loss, n_falls = agent.run_episode(args.steps)
            assert np.isfinite(loss)
            falls.append(n_falls)
        half = n_episodes // 2
        print(f"batch={batch}: {n_episodes} episodes, {time.time() - start:.1f} s")
        print(f"batch={batch}: falls {np.mean(falls[:half]):.2f} then {np.mean(falls[half:]):.2f}")
    else:
        rpc.init_rpc(OBSERVER.format(rank), rank=rank, world_size=world_size)
    rpc.shutdown()


def main():
    for batch in (True, False):
        mp.spawn(
            run_worker,
            args=(args.world_size, args.episodes, batch),
            nprocs=args.world_size,
            join=True,
        )


if __name__ == "__main__":
    main()
