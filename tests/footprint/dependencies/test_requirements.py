import re

from packaging.requirements import Requirement
from packaging.version import Version

from opscope.footprint import Distribution, requirement, requirements_text

TORCH = Distribution("torch", "2.13.0+cpu")
EDITABLE = Distribution("mine", "0.1", "file:///home/me/my%20work", is_editable=True)
FROM_GIT = Distribution("a", "1.0", "git+https://example.org/a.git@ab12")
FROM_FILE = Distribution("Beta", "2.0", "file:///wheels/Beta-2.0.whl")


def test_the_text_has_pins_addresses_and_remarks() -> None:
    text = requirements_text([TORCH, FROM_FILE, FROM_GIT, EDITABLE, FROM_FILE], ["What it is."])
    assert text.splitlines() == [
        "# What it is.",
        "a @ git+https://example.org/a.git@ab12",
        "Beta==2.0  # installed from file:///wheels/Beta-2.0.whl",
        "# -e /home/me/my work  (mine==0.1, editable)",
        "torch==2.13.0  # installed: 2.13.0+cpu, of https://download.pytorch.org/whl/cpu",
    ]


def test_a_pin_takes_what_is_installed() -> None:
    assert Version("2.13.0+cpu") in Requirement(requirement(TORCH)).specifier


def test_what_pip_reads_of_the_text_is_the_requirements_alone() -> None:
    hostile = Distribution("odd", "1.0", "file:///a\n-r /etc/passwd")
    remarks = ["a\n-r other.txt", "</script> ' \" ünïcode:"]
    text = requirements_text([TORCH, FROM_GIT, EDITABLE, hostile], remarks)
    lines = [re.sub(r"(^|\s+)#.*$", "", line) for line in text.splitlines()]  # as pip does
    read = [Requirement(line) for line in lines if line]
    assert [(one.name, one.url or str(one.specifier)) for one in read] == [
        ("a", "git+https://example.org/a.git@ab12"),
        ("odd", "==1.0"),
        ("torch", "==2.13.0"),
    ]
