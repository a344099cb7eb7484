"""A pole on a cart, to be balanced by pushing the cart left or right: the environment of two of the programs.

Equations of motion and limits: Barto, Sutton and Anderson 1983, Neuronlike adaptive elements that can solve difficult
learning control problems.  A state is (position m, speed m/s, angle rad, angular speed rad/s).
"""

import math
import random

GRAVITY, CART_KG, POLE_KG, HALF_POLE_M, PUSH_N, STEP_S = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
MOST_POSITION, MOST_ANGLE, MOST_STEPS = 2.4, 12 * math.pi / 180, 200


class CartPole:
    """One cart: `state = reset()`, then `state, reward, done = step(0 or 1)` until done."""

    def __init__(self, seed=0):
        self.random = random.Random(seed)

    def reset(self):
        self.state = [self.random.uniform(-0.05, 0.05) for _ in range(4)]
        self.n_steps = 0
        return list(self.state)

    def step(self, action):
        position, speed, angle, turning = self.state
        push = PUSH_N if action == 1 else -PUSH_N
        sine, cosine = math.sin(angle), math.cos(angle)
        mass = CART_KG + POLE_KG
        shared = (push + POLE_KG * HALF_POLE_M * turning**2 * sine) / mass
        angular = (GRAVITY * sine - cosine * shared) / (
            HALF_POLE_M * (4 / 3 - POLE_KG * cosine**2 / mass)
        )
        linear = shared - POLE_KG * HALF_POLE_M * angular * cosine / mass
        self.state = [
            position + STEP_S * speed,
            speed + STEP_S * linear,
            angle + STEP_S * turning,
            turning + STEP_S * angular,
        ]
        self.n_steps += 1
        has_fallen = abs(self.state[0]) > MOST_POSITION or abs(self.state[2]) > MOST_ANGLE
        return list(self.state), 1.0, has_fallen or self.n_steps >= MOST_STEPS
