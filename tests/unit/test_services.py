"""Demand of services, replicas as stretches of time, windows of pipelines, and recorded requests."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from gpuyard.errors import ConfigError, InputError
from gpuyard.services.autoscaling import lives
from gpuyard.services.book import Book, Service
from gpuyard.services.demand import DAY, HOUR, Crowds, Day, Recording, highest_peak
from gpuyard.services.kinds import ServiceKind
from gpuyard.services.recorded import read_requests
from gpuyard.services.streaming import backlog_times, in_time
from gpuyard.streams import Stream

TRACES = Path(os.environ.get("GPUYARD_TRACES", Path(__file__).parents[2] / "../shared/traces"))


def test_a_day_has_mean_1_and_its_peak_at_its_hour():
    day = Day(peak_hour=17.5, width_hours=3.5, peak=1.72, weekend=1.0)
    seconds = np.arange(0, DAY, 60.0)
    rate = day.at(seconds, 0.0, 0)
    assert rate.mean() == pytest.approx(1.0, abs=1e-4)
    assert rate.max() == pytest.approx(1.72, abs=1e-12)
    assert seconds[rate.argmax()] == 17.5 * HOUR
    # standard deviation from the peak the bump has fallen to exp(-1/2)
    floor = 1 - 0.72 / (highest_peak(3.5) - 1)
    assert float(day.at(np.array([14 * HOUR]), 0.0, 0)[0]) == pytest.approx(floor + (1.72 - floor) * np.exp(-0.5))


def test_a_weekend_is_told_by_the_calendar_of_the_start():
    day = Day(peak_hour=12.0, width_hours=3.0, peak=1.0, weekend=0.25)
    noons = np.arange(7) * DAY
    assert day.at(noons, -12 * HOUR, 3).tolist() == [1, 1, 0.25, 0.25, 1, 1, 1]  # from Thursday noon


def test_a_day_may_have_a_profile_of_hours():
    shifts = ServiceKind(name="vision").changed({"hourly": [1.0] * 6 + [4.0] * 8 + [3.0] * 8 + [1.0] * 2}).day()
    hours = np.array([5.99, 6.0, 13.9, 14.0, 23.9, 24.0]) * HOUR
    assert shifts.at(hours, 0.0, 0) == pytest.approx(np.array([1, 4, 4, 3, 1, 1]) * 24 / 64)


def test_a_public_holiday_is_like_a_weekend():
    day = Day(peak_hour=12.0, width_hours=3.0, peak=1.0, weekend=0.25)
    noons = np.arange(4) * DAY
    assert day.at(noons, -12 * HOUR, 0, holidays=(-3, 2)).tolist() == [1, 1, 0.25, 1]


def test_a_peak_that_its_bump_cannot_have_is_refused_with_the_highest():
    assert highest_peak(3.5) == pytest.approx(24 / (3.5 * np.sqrt(2 * np.pi)), rel=1e-3)
    with pytest.raises(ConfigError, match=r"service 'a': the peak over the mean is 1 to 2\.74 for a bump"):
        ServiceKind(name="a", peak=3.0)


def test_a_flash_crowd_rises_and_falls_back_exponentially():
    crowds = Crowds(a_week=1, factor=3.0, rise=100.0, decay=50.0)
    seconds = np.array([0.0, 1000.0, 1050.0, 1100.0, 1150.0, 9000.0])
    assert crowds.times(seconds, [1000.0]) == pytest.approx([1, 1, 2, 3, 1 + 2 * np.exp(-1), 1])


def test_crowds_come_as_often_as_asked_and_those_of_a_longer_span_begin_alike():
    crowds = Crowds(a_week=7.0, factor=2.0, rise=1.0, decay=1.0)
    short, long = (crowds.begins(days * DAY, Stream(0, "crowds")) for days in (100, 1000))
    assert long[: len(short)] == short
    assert len(long) == pytest.approx(1000, abs=4 * np.sqrt(1000))


def test_the_replica_added_last_goes_first():
    place, first, end = lives(np.array([2, 3, 3, 1, 0, 1]))
    assert list(zip(place.tolist(), first.tolist(), end.tolist(), strict=True)) == [
        (0, 0, 4),
        (0, 5, 6),
        (1, 0, 3),
        (2, 1, 3),
    ]


def test_a_window_is_in_time_if_its_records_are_no_more_than_fit():
    # one record a second and windows of 2 s, two records fit: P(N <= 2) of a Poisson number of mean 2 is 5 exp(-2)
    found = in_time(np.array([1.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0]), 2.0)
    assert found == pytest.approx([5 * np.exp(-2), 0.0, 1.0])


def test_a_backlog_grows_by_what_exceeds_the_capacity_and_is_worked_off_by_what_is_spare():
    # 100 s at 2 over 1: 100 records behind; 100 s at 2 over 3 work them off in 100 s; then none
    rate, length = np.array([2.0, 2.0, 2.0]), np.array([100.0, 150.0, 50.0])
    assert backlog_times(rate, np.array([1.0, 3.0, 3.0]), length).tolist() == [100.0, 100.0, 0.0]


def written(folder: Path, text: str, name: str = "requests.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_of_counts_is_a_shape(tmp_path):
    found = read_requests(written(tmp_path, "time,requests\n0,10\n60,30\n120,20\n"), 300.0)
    assert (found.number, found.seconds) == (60, 180.0)
    assert found.recording == Recording(step=60.0, shape=(0.5, 1.5, 1.0))
    assert found.recording.at(np.array([0.0, 59.0, 60.0, 179.0, 180.0])).tolist() == [0.5, 0.5, 1.5, 1.0, 0.5]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (
            "TIMESTAMP,ContextTokens\n2023-11-16 18:00:00.5,1\n2023-11-16 18:00:01.5,1\n2023-11-16 18:00:04.5,1\n",
            "a.csv",
        ),
        ("gmt_create,x\n2023-11-16 18:00:04,1\n2023-11-16 18:00:00,1\n2023-11-16 18:00:01,1\n", "a.csv"),
        ('{"timestamp": 0}\n{"timestamp": 1000}\n\n{"timestamp": 4000}\n', "a.jsonl"),
    ],
)
def test_arrivals_of_public_traces_are_counted_in_control_intervals(tmp_path, text, name):
    found = read_requests(written(tmp_path, text, name), 2.0)
    assert (found.number, found.seconds) == (3, 4.0)
    assert found.recording == Recording(step=2.0, shape=(2.0, 0.0))  # what comes after the last whole interval is left


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a,b\n1,2\n",
            r"requests\.csv: this is no request trace \(got 'a,b'\); it must be a CSV with a column TIMESTAMP",
        ),
        ("time,requests\n0,1\n60,x\n", r"row 3, column 'requests': this is no number of 0 or more \(got 'x'\)"),
        ("time,requests\n0,1\n60,-2\n", r"row 3, column 'requests': this is no number of 0 or more \(got '-2'\)"),
        ("time,requests\n0,1\n60,2\n180,2\n", r"row 4, column 'time': the intervals are not equally long"),
        ("time,requests\n0,0\n60,0\n", "column 'requests': the trace holds no requests"),
        ("time,requests\n0,1\n", "a table of requests needs two rows at least"),
        ("time,requests\n0,1\n60\n", r"row 3: the line does not have as many cells as the header"),
        ("TIMESTAMP\n2023-11-16\nyesterday\n", r"row 3, column 'TIMESTAMP': this is no instant \(got 'yesterday'\)"),
        ("TIMESTAMP\n2023-11-16\n", "needs requests at two times at least"),
        ('{"timestamp": 0}\n{"time": 1}\n', r"row 2, column 'timestamp': this line has no timestamp"),
        ('{"timestamp": 0}\n{"timestamp": "1"}\n', r"row 2, column 'timestamp': this is no number of milliseconds"),
    ],
)
def test_what_is_wrong_with_a_request_trace_is_said_with_its_place(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_requests(written(tmp_path, text), 300.0)


@pytest.mark.skipif(not TRACES.is_dir(), reason="the recorded traces are not here")
@pytest.mark.parametrize(
    ("name", "requests", "rate"),
    [
        ("azure_llm_2023/AzureLLMInferenceTrace_conv.csv", 19_366, 5.53),
        ("azure_llm_2023/AzureLLMInferenceTrace_code.csv", 8_819, 2.57),
        ("mooncake_2024/conversation_trace.jsonl", 12_031, 3.40),
        ("alibaba_genai_2026/lora_request_trace.csv", 26_823, 0.0135),
    ],
)
def test_public_request_traces_have_their_published_number_of_requests(name, requests, rate):
    found = read_requests(TRACES / name, 300.0)
    assert found.number == requests
    assert found.number / found.seconds == pytest.approx(rate, rel=0.01)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"gpus": 32}, "service 'chat' has gpus 32; it must be 1 to 16"),
        ({"target": 1.2}, r"service 'chat' has target 1\.2; it must be a share above 0 and at most 1"),
        ({"smallest": 50.0}, "service 'chat' has largest 20.0; it must be at least smallest, 50"),
        ({"window": 5.0}, "needs both window and records"),
        ({"cold_strt": 5.0}, "unknown key of service 'chat' 'cold_strt'; did you mean 'cold_start'"),
        ({"gpus": "8"}, "gpus of service 'chat' must be a whole number, got '8'"),
        ({"peak": "1.5"}, "peak of service 'chat' must be a number, got '1.5'"),
        ({"hourly": [1.0]}, "service 'chat': hourly needs 24 numbers"),
        ({"hourly": 3}, "hourly of service 'chat' must be a list of numbers, got 3"),
        ({"requests": 3}, "requests of service 'chat' must be a text, got 3"),
    ],
)
def test_a_value_that_no_service_can_have_is_refused(table, message):
    with pytest.raises(ConfigError, match=message):
        ServiceKind(name="chat", largest=20.0).changed(table)


def test_times_of_a_service_may_be_texts():
    assert ServiceKind(name="a").changed({"cooldown": "10m", "window": "2s", "records": 5}).cooldown == 600.0


def a_book(**changes: object) -> Book:
    kind = ServiceKind(name="chat", interval=100.0, peak=1.0, hourly=(1.0, 2.0) * 12)
    service = Service(name="chat-01", kind="chat", mean=0.5, least=1, most=4, spare=0, crowds=(20.5,))
    values = {
        "span": 250.0,
        "midnight": -3600.0,
        "weekday": 2,
        "holidays": (1, 8),
        "kinds": {"chat": kind},
        "services": (service,),
    }
    return Book(recordings={"chat": Recording(step=60.0, shape=(0.5, 1.5))}, **{**values, **changes})


def test_a_book_reads_back_as_it_was_written():
    assert Book.loads(a_book().dumps()) == a_book()


def test_the_last_control_interval_ends_with_the_window():
    assert a_book().edges(100.0).tolist() == [0.0, 100.0, 200.0, 250.0]


def test_control_intervals_are_longer_where_there_were_too_many():
    assert a_book(span=40_000_000.0).edges(100.0).size == 133_335  # of 300 s


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{}", b'{"span": 1}', b"[]", b"nonsense", a_book().dumps().replace(b'"kind":"chat"', b'"kind":"cat"'),
        a_book().dumps().replace(b'"span":250.0', b'"span":-1'), a_book().dumps().replace(b'"gpus":1', b'"gpus":99'),
    ],
)  # fmt: skip
def test_services_that_cannot_be_read_are_refused(text):
    with pytest.raises(InputError, match="the services in the metadata of the job table cannot be read"):
        Book.loads(text)
