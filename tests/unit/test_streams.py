"""Random streams: one seed, one stream a name."""

from __future__ import annotations

import hashlib

import numpy as np

from gpuyard.streams import Stream, stream_key


def test_a_key_is_the_first_8_bytes_of_the_digest_of_name_and_seed():
    # printf 'gpuyard:placement:0' | sha256sum, and the same for 42
    assert stream_key(0, "placement") == 0xF0051E2CED749EF8
    assert stream_key(42, "placement") == 0xB26CF539318A5360


def test_the_numbers_are_those_of_pcg64_seeded_with_the_whole_digest():
    digest = hashlib.sha256(b"gpuyard:arrivals:7").digest()
    seeds = np.random.SeedSequence(int.from_bytes(digest, "big"))
    expected = np.random.Generator(np.random.PCG64(seeds)).random(1000)
    assert np.array_equal(Stream(7, "arrivals").uniform(1000), expected)


def test_asking_twice_continues_the_series():
    whole = Stream(3, "sizes").uniform(5)
    stream = Stream(3, "sizes")
    assert np.array_equal(np.concatenate((stream.uniform(2), stream.uniform(3))), whole)


def test_the_numbers_at_a_place_are_those_of_the_series():
    whole = Stream(3, "sizes").uniform(1_000)
    stream = Stream(3, "sizes")
    assert np.array_equal(stream.at(990, 10), whole[990:])
    assert np.array_equal(stream.at(5, 3), whole[5:8])
    assert np.array_equal(stream.uniform(2), whole[8:10])


def test_names_and_seeds_give_unrelated_streams():
    one, other_name, other_seed = (
        Stream(seed, name).uniform(20_000) for seed, name in ((0, "sizes"), (0, "runtimes"), (1, "sizes"))
    )
    # the standard error of a correlation of 20,000 independent pairs is 0.007
    assert abs(np.corrcoef(one, other_name)[0, 1]) < 0.03
    assert abs(np.corrcoef(one, other_seed)[0, 1]) < 0.03


def test_numbers_fill_the_unit_interval_evenly():
    numbers = Stream(0, "even").uniform(100_000)
    assert numbers.min() >= 0.0
    assert numbers.max() < 1.0
    counts = np.histogram(numbers, bins=10, range=(0, 1))[0]
    assert np.all(np.abs(counts - 10_000) < 400)  # 4 standard deviations of a binomial count


def test_seed_zero_is_a_seed_like_any_other():
    assert stream_key(0, "a") != stream_key(1, "a")
    assert not np.array_equal(Stream(0, "a").uniform(4), Stream(1, "a").uniform(4))
