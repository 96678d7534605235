# SPDX-License-Identifier: MIT
import contextlib
import itertools
from collections.abc import Iterator

from tests.e2e import soak, soak_growth, soak_plan
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


def test_a_soak_that_judges_nobody_is_not_passed() -> None:
    growths = soak_growth.Growths()
    for number in range(20):
        growths.add("webhook", 1, soak_growth.Sample(float(number), 70.0, 20))
    growths.add("speaker-node-1", 2, soak_growth.Sample(0.0, 70.0, 20))
    (sentence,) = growths.unjudged(soak.JUDGED)
    assert sentence.startswith("speaker-node-1 was looked at too few times")


def test_a_judgement_names_the_first_and_the_last_sample_after_warming_up() -> None:
    (growth,) = grown([40.0] * 3 + [70.0, 71.0, 70.0, 71.0, 70.0, 71.5], [20] * 8 + [22])
    assert str(growth).startswith("70.0 to 71.5 MB, 20 to 22 files; the line through 6 samples")


def test_services_are_deleted_in_the_fault_unless_nobody_is_there_to_ask() -> None:
    done: list[str] = []

    class Stage:
        def make(self, new: list[str], **asked: str) -> None:
            done.append("make")

        def delete(self, old: list[str]) -> None:
            done.append("delete")

        def until_gone(self, old: list[str]) -> None:
            done.append("gone")

    class Steps(soak.Soak):
        def __init__(self) -> None:
            self._stage = Stage()  # type: ignore[assignment] # as much of a stage as it needs

        @contextlib.contextmanager
        def _fault(self, step: soak_plan.Step) -> Iterator[None]:
            done.append("begins")
            yield
            done.append("ends")

    fault = soak_plan.Fault
    for kind in (fault.CUT, fault.API_AWAY):
        Steps()._do(soak_plan.Step(1, kind, (), 0.0, 5, made=2, count=1))
    assert done[:5] == ["make", "begins", "delete", "ends", "gone"]
    assert done[5:] == ["make", "begins", "ends", "delete", "gone"]


def test_a_process_that_has_ended_has_no_sample() -> None:
    growths = soak_growth.Growths()
    growths.look("gone", 1 << 30, 0.0)
    assert list(growths.judged()) == []
