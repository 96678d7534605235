# SPDX-License-Identifier: MIT
import itertools

from tests.e2e import soak_growth, soak_plan
from tests.e2e.faults import stage


def test_a_seed_makes_the_same_steps_again_and_another_one_others() -> None:
    first, again, other = (list(itertools.islice(soak_plan.steps(seed), 50)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_every_fault_comes_up_and_strikes_nodes_that_exist() -> None:
    taken = list(itertools.islice(soak_plan.steps(7), 1000))
    assert {step.fault for step in taken} == set(soak_plan.Fault)
    assert all(set(step.nodes) <= set(stage.NODES) for step in taken)
    assert all(str(step.fault) in str(step) for step in taken)


def test_somebody_is_left_on_the_clients_side_of_a_split() -> None:
    taken = itertools.islice(soak_plan.steps(7), 1000)
    split = [step.nodes for step in taken if step.fault is soak_plan.Fault.SPLIT]
    assert split
    assert all(0 < len(set(nodes)) == len(nodes) < len(stage.NODES) for nodes in split)


def test_the_speaker_whose_memory_is_judged_is_never_restarted() -> None:
    taken = itertools.islice(soak_plan.steps(7), 1000)
    restarted = {n for step in taken if step.fault in soak_plan.RESTARTS for n in step.nodes}
    assert restarted == set(soak_plan.RESTARTED)
    assert soak_plan.SPARED not in restarted


def grown(megabytes: list[float], files: list[int]) -> list[soak_growth.Growth]:
    growths = soak_growth.Growths()
    for number, (resident_mb, opened) in enumerate(zip(megabytes, files, strict=True)):
        growths.add("speaker", 1, soak_growth.Sample(number * 10.0, resident_mb, opened))
    return [growth for _, growth in growths.judged()]


def test_what_grows_while_caches_fill_and_is_flat_then_is_flat() -> None:
    (growth,) = grown([40, 50, 60, 68, 69] + [70.0, 71.0, 69.0] * 4, [20, 21, 19] * 5 + [20, 21])
    assert growth.flat


def test_a_leak_of_memory_or_files_is_seen() -> None:
    (memory,) = grown([70.0 + number for number in range(20)], [20] * 20)
    (files,) = grown([70.0] * 20, [20 + number for number in range(20)])
    assert not memory.flat
    assert not files.flat
    assert files.files == 13.0


def test_a_process_that_lived_for_few_samples_is_not_judged() -> None:
    assert grown([70.0, 200.0], [20, 200]) == []


def test_a_process_that_has_ended_has_no_sample() -> None:
    growths = soak_growth.Growths()
    growths.look("gone", 1 << 30, 0.0)
    assert list(growths.judged()) == []
