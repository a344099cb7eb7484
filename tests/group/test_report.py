"""Reports of failed workers."""

import os

from nbgrad.group import report


def test_reports_of_workers_are_apart(nothing_left):
    file = report.make()
    try:
        report.write(file, 2, "two\n", False)
        report.write(file, 0, "nought ä", True)
        assert report.read(file, 2) == ("two\n", False)
        assert report.read(file, 0) == ("nought ä", True)
        assert report.read(file, 1) is None
        assert report.read(file, 3) is None
    finally:
        os.close(file)


def test_of_a_long_report_the_end_is_kept(nothing_left):
    file = report.make()
    try:
        report.write(file, 0, "x" * (2 * report.ROOM) + "the point", False)
        report.write(file, 1, "next", False)
        assert report.read(file, 0).text.endswith("xxthe point")
        assert report.read(file, 1).text == "next"
    finally:
        os.close(file)
