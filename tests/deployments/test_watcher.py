from __future__ import annotations

from deployments.watcher import Watch

A, B = ("a.png", 10, 1), ("b.png", 20, 2)


def test_a_run_is_due_once_the_inbox_has_stood_still():
    watch = Watch(2.0)
    assert not watch.due(frozenset({A}), 0.0)
    assert not watch.due(frozenset({A}), 1.9)
    assert watch.due(frozenset({A}), 2.0)


def test_a_file_that_grows_puts_the_run_off():
    watch = Watch(2.0)
    watch.due(frozenset({("a.png", 10, 1)}), 0.0)
    assert not watch.due(frozenset({("a.png", 11, 2)}), 2.0)
    assert watch.due(frozenset({("a.png", 11, 2)}), 4.0)


def test_an_empty_inbox_is_never_due():
    watch = Watch(0.0)
    assert not watch.due(frozenset(), 10.0)
    assert not watch.unsettled


def test_what_a_run_has_left_in_the_inbox_starts_no_other_one():
    watch = Watch(0.0)
    assert watch.due(frozenset({A}), 0.0)
    watch.asked()
    assert not watch.due(frozenset({A}), 100.0)
    assert watch.due(frozenset({A, B}), 101.0)


def test_the_same_file_dropped_again_is_new():
    watch = Watch(0.0)
    watch.due(frozenset({A}), 0.0)
    watch.asked()
    watch.due(frozenset(), 1.0)
    assert watch.due(frozenset({A}), 2.0)


def test_a_run_that_could_not_be_asked_for_stays_due():
    watch = Watch(0.0)
    assert watch.due(frozenset({A}), 0.0)
    assert watch.due(frozenset({A}), 5.0)
