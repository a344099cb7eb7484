"""The groups of workers that the tests of this folder use."""

from tests.groups import group2, group3, group4, groups

__all__ = ["group2", "group3", "group4", "groups"]
