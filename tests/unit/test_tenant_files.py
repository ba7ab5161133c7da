"""Files of tenants: TOML and CSV say the same, and what is wrong is said with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuyard import Limit, Tenant, Tenants, read_tenants
from gpuyard.errors import InputError


def test_a_row_of_csv_is_a_tenant_and_an_empty_cell_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "quotas.csv"
    path.write_text("name,nominal,borrow,lend,weight\nsteel,16,8,,2\n\nsteel/vision,,,,\nbio,8,0,4,\n")
    assert read_tenants(path) == Tenants(
        tenants=(
            Tenant(name="steel", nominal=16, borrow=8, weight=2),
            Tenant(name="steel/vision"),
            Tenant(name="bio", nominal=8, borrow=0, lend=4),
        )
    )


def test_quotas_by_type_have_a_column_a_type(tmp_path: Path) -> None:
    path = tmp_path / "quotas.csv"
    path.write_text("name,nominal.H100,nominal.A100,borrow.H100\nsteel,16,,0\nbio,,4,\n")
    assert read_tenants(path).tenants == (
        Tenant(name="steel", nominal={"H100": 16}, borrow={"H100": 0}),
        Tenant(name="bio", nominal={"A100": 4}),
    )


TOML = """
between = "drf"
[[tenant]]
name = "steel"
nominal = 16
[[limit]]
each = ["user"]
jobs = 2
"""


@pytest.mark.parametrize("text", [TOML, "[tenants]" + TOML.replace("[[", "[[tenants.")], ids=["bare", "in [tenants]"])
def test_toml_has_the_keys_of_a_scenario_at_the_top_or_in_their_section(tmp_path: Path, text: str) -> None:
    path = tmp_path / "quotas.toml"
    path.write_text(text)
    assert read_tenants(path) == Tenants(
        between="drf", tenants=(Tenant(name="steel", nominal=16),), limits=(Limit(each=("user",), jobs=2),)
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,nominal\nsteel,many\n", r"row 2, column 'nominal': this is no number \(got 'many'\); write a number"),
        ("name,nominal\nsteel,-1\n", r"row 2, column 'nominal': the number is out of range \(got '-1'\); write"),
        (
            "name,weight\nsteel,0\n",
            r"row 2, column 'weight': the number is out of range \(got '0'\); write a number above 0, or leave the",
        ),
        (
            "name,nominal\nsteel,1\nbio,2\nsteel,1\n",
            r"row 4, column 'name': a tenant stands twice \(got 'steel'\); give",
        ),
        ("name,nominal\n,1\n", "row 2, column 'name': a tenant has no name; name it"),
        ("name,nominal\nsteel//x,1\n", "row 2: a tenant's name is a path"),
        ("name,nominel\nsteel,1\n", "row 1, column 'nominel': unknown column 'nominel'; did you mean 'nominal'"),
        ("name;nominal\nsteel;1\n", "row 1: the columns are separated by semicolons; separate them by commas"),
        ("name\tnominal\nsteel\t1\n", "row 1: the columns are separated by tabs; separate them by commas"),
        ("name,quota.H100\nsteel,1\n", "row 1, column 'quota.H100': "),
        ("nominal\n1\n", "row 1: the file has no column of names; add a column 'name'"),
        ("name,nominal,borrow.H100\nsteel,1,1\n", "row 1: some quotas are numbers and some are by GPU type; write all"),
        ("name\n", "no tenant is named; write a row"),
        ("name,nominal\nsteel\n", "row 2: 1 cells where the header has 2 .got 'steel'.; give each row as many"),
    ],
)
def test_what_is_wrong_in_csv_is_said_with_row_column_value_and_remedy(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "quotas.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"quotas\.csv.*{message}"):
        read_tenants(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("between = \n", r"quotas\.toml, row 1: this is not TOML: .*; correct that line"),
        ('betwen = "drf"\n', r"quotas\.toml: unknown key of tenants 'betwen'; did you mean 'between'"),
        (
            'name = "site"\n[tenants]\nnominal = 3\n[policy]\nname = "fifo"\n',
            r"quotas\.toml: beside \[tenants\] it has 'name', \[policy\], which would be left out; keep only",
        ),
        ("[[tenant]]\nnominal = 3\n", r"quotas\.toml: a tenant needs a 'name'"),
    ],
)
def test_what_is_wrong_in_toml_is_said_with_the_file(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "quotas.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_tenants(path)


def test_a_missing_file_is_said() -> None:
    with pytest.raises(InputError, match=r"nowhere\.csv: the file cannot be read: .*; check the path"):
        read_tenants("nowhere.csv")
