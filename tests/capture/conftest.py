"""The groups of workers that the tests of this folder use."""

from tests.groups import group2, groups

__all__ = ["group2", "groups"]
