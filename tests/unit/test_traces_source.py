"""Files before they are traces: what is opened, what is refused, and which format a file is."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from gpuyard import traces
from gpuyard.errors import ConfigError, InputError
from gpuyard.traces import source
from gpuyard.traces.cells import read_separated

SAMPLES = Path(__file__).parents[2] / "traces" / "samples"
JOBS = b"job_id,submit_time,gpus\na,0,1\nb,5,2\n"


def write(folder: Path, data: bytes, name: str = "jobs.csv") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("native.csv", "native"),
        ("philly.csv", "philly"),
        ("philly_job_log.json", "philly"),
        ("helios_cluster_log.csv", "helios"),
        ("acme_seren.csv", "acme"),
        ("acme_kalos.csv", "acme"),
        ("pai_task_table.csv", "pai"),
        ("openb_pod_list.csv", "openb"),
        ("tiresias.csv", "tiresias"),
        ("curie.csv", "curie"),
        ("workload.swf", "swf"),
        ("sacct.txt", "sacct"),
        ("supercloud.csv", "supercloud"),
    ],
)
def test_each_sample_is_recognised_by_its_content(tmp_path: Path, name: str, expected: str) -> None:
    anonymous = write(tmp_path, (SAMPLES / name).read_bytes(), "trace")
    assert traces.recognise(anonymous) == expected
    packed = write(tmp_path, gzip.compress((SAMPLES / name).read_bytes()), "packed")
    assert traces.recognise(packed) == expected
    assert traces.read(packed).table == traces.read(anonymous).table


def test_no_other_reader_claims_a_sample() -> None:
    claims = {
        path.name: [name for name, reader in traces.FORMATS.items() if reader.recognises(source.head(path), path)]
        for path in sorted(SAMPLES.iterdir())
        if path.suffix != ".md"
    }
    assert {name: len(names) for name, names in claims.items()} == dict.fromkeys(claims, 1)


def test_an_unknown_file_lists_the_formats(tmp_path: Path) -> None:
    path = write(tmp_path, b"time,active,total\n2017-10-03,312,420\n")
    with pytest.raises(InputError, match=r"no known trace format.*--format, one of native, philly, helios"):
        traces.read(path)


def test_an_unknown_format_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="unknown trace format 'phily'; did you mean 'philly'"):
        traces.read(SAMPLES / "philly.csv", format="phily")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        traces.read(tmp_path / "absent.csv")
    with pytest.raises(InputError, match="a folder"):
        traces.read(tmp_path)
    with pytest.raises(InputError, match="the file is empty"):
        traces.read(write(tmp_path, b""))
    with pytest.raises(InputError, match="the file is empty"):
        traces.read(write(tmp_path, b"\n \n"), format="native")
    with pytest.raises(InputError, match="the file is empty"):
        traces.read(write(tmp_path, "\x1c\u2003\n".encode()), format="sacct")
    with pytest.raises(InputError, match="cannot be read"):
        traces.read("jobs\0.csv")


def test_a_byte_order_mark_and_any_line_ends_are_read(tmp_path: Path) -> None:
    plain = traces.read(write(tmp_path, JOBS)).table
    for data in (b"\xef\xbb\xbf" + JOBS, JOBS.replace(b"\n", b"\r\n"), JOBS.replace(b"\n", b"\r"), JOBS.rstrip()):
        assert traces.read(write(tmp_path, data)).table == plain


def test_wrong_encoding_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"row 3: the text is not UTF-8.*iconv"):
        traces.read(write(tmp_path, JOBS.replace(b"b,", "é,".encode("latin-1"))))
    with pytest.raises(InputError, match=r"row 1: the text is not UTF-8"):
        traces.read(write(tmp_path, JOBS.decode().encode("utf-16")), format="native")


def test_a_truncated_gzip_is_damaged(tmp_path: Path) -> None:
    packed = gzip.compress(JOBS * 1000)
    with pytest.raises(InputError, match="the packed file is damaged"):
        traces.read(write(tmp_path, packed[: len(packed) // 2]), format="native")
    broken = packed[:30] + bytes([packed[30] ^ 0xFF]) + packed[31:]
    with pytest.raises(InputError, match="the packed file is damaged"):
        traces.read(write(tmp_path, broken), format="native")


def test_a_gzip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.gz"
    bomb.write_bytes(gzip.compress(b"\0" * (1 << 20), 9) * 80)  # 80 MiB of zeros in 80 kB
    with pytest.raises(InputError, match="unpacks to more than 65 MiB"):
        source.read_bytes(bomb)


def test_a_large_honest_gzip_is_not_a_bomb(tmp_path: Path) -> None:
    data = JOBS + b"".join(b"job-%d,%d,8\n" % (number, number) for number in range(100_000))
    assert source.read_bytes(write(tmp_path, gzip.compress(data))) == data


def test_lines_keep_their_numbers_past_blank_ragged_and_quoted_ones(tmp_path: Path) -> None:
    text = 'a,b\n1,2\n\n  \n3\n"4,5",6\n7,8,9\n"open,1\n10,11\n'
    cells = read_separated(write(tmp_path, text.encode()))
    assert cells.rows.tolist() == [2, 6, 9]
    assert cells.columns["a"].to_pylist() == ["1", "4,5", "10"]
    assert [(each.row, each.value) for each in cells.rejected] == [(5, "3"), (7, "7,8,9"), (8, '"open,1')]
    assert cells.rows_in == 6


def test_a_quote_that_is_never_closed_takes_only_its_own_line(tmp_path: Path) -> None:
    rows = "".join(f"{number},x\n" for number in range(1000))
    cells = read_separated(write(tmp_path, f'a,b\n1,"x\n{rows}'.encode()))
    assert len(cells) == 1000
    assert [each.row for each in cells.rejected] == [2]


def test_a_line_of_two_mebibytes_is_rejected_and_the_rest_is_read(tmp_path: Path) -> None:
    data = b"a,b\n1,2\n" + b"x" * (2 << 20) + b",1\n3,4\n"
    cells = read_separated(write(tmp_path, data))
    assert cells.rows.tolist() == [2, 4]
    assert cells.rejected[0].row == 3
    assert cells.rejected[0].value == "x" * 80


def test_a_header_that_names_a_column_twice_or_lacks_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"row 1, column 'a': the header names a column twice"):
        read_separated(write(tmp_path, b"a,b,a\n1,2,3\n"))
    with pytest.raises(InputError, match=r"column 'c': a column is missing"):
        read_separated(write(tmp_path, b"a,b\n1,2\n"), required=("a", "c"))


def test_importing_the_package_imports_neither_arrow_nor_numpy() -> None:
    code = "import sys, gpuyard.traces; print([name for name in ('numpy', 'pyarrow', 'numba') if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
