from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sheetflow.telling.messages import message_of
from sheetflow.telling.notices import Decision, Kind, News, Told, Trouble, decide

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
DAY = timedelta(days=1)
OUTAGE = Trouble(
    Kind.FAILED,
    "StoreUnavailable",
    "MongoDB did not answer",
    "Check that it runs",
    {f"{number}.png": "" for number in range(500)},
    shared=True,
)


def review(*names: str) -> Trouble:
    doubts = dict.fromkeys(names, "a picture without a code")
    return Trouble(Kind.REVIEW, "", "what was read is in doubt", "Look at it", doubts)


def rejected(*names: str) -> Trouble:
    return Trouble(Kind.REJECTED, "", "no image", "Scan it again", dict.fromkeys(names, "no image"))


def after(*rounds: tuple[Trouble, ...], every: timedelta = timedelta(minutes=5)) -> Decision:
    """What the last of several runs tells."""
    decision, at = Decision((), {}), NOON
    for troubles in rounds:
        decision = decide(troubles, decision.told, at=at, again_after=DAY)
        at += every
    return decision


def told(decision: Decision) -> list[tuple[str, int]]:
    return [(str(notice.news), len(notice.sheets)) for notice in decision.notices]


def test_an_outage_with_500_sheets_is_one_notice() -> None:
    assert told(after((OUTAGE,))) == [("trouble", 500)]


def test_an_outage_that_goes_on_and_hits_more_sheets_is_no_news() -> None:
    more = Trouble(**{**vars(OUTAGE), "sheets": {**OUTAGE.sheets, "new.png": ""}})
    assert told(after((OUTAGE,), (more,), (OUTAGE,))) == []


def test_when_nothing_is_the_matter_any_more_that_is_told_once() -> None:
    over = after((OUTAGE,), ())
    assert [notice.subject for notice in over.notices] == ["all is well again"]
    assert "MongoDB did not answer" in over.notices[0].cause
    assert told(after((OUTAGE,), (), ())) == []


def test_nothing_the_matter_is_not_told() -> None:
    assert told(after(())) == []


def test_an_end_is_told_though_something_else_goes_on() -> None:
    decision = after((OUTAGE, review("a.png")), (review("a.png"),))
    assert told(decision) == [("over", 0)]
    assert told(after((OUTAGE, review("a.png")), (review("a.png"),), ())) == [("well", 0)]


def test_each_sheet_in_doubt_is_news_but_only_once() -> None:
    assert told(after((review("a.png"),))) == [("review", 1)]
    more = after((review("a.png"),), (review("a.png", "b.png"),))
    assert [list(notice.sheets) for notice in more.notices] == [["b.png"]]
    assert told(after((review("a.png", "b.png"),), (review("b.png"),))) == []


def test_a_review_that_nobody_answers_is_reminded_of() -> None:
    decision = after((review("a.png"),), (review("a.png"),), every=DAY)
    assert [notice.subject for notice in decision.notices] == ["still: a.png needs a review"]
    assert decision.notices[0].since == NOON
    assert told(after((review("a.png"),), (review("a.png"),), (review("a.png"),), every=DAY))


def test_new_sheets_do_not_put_off_the_reminder_of_the_old_ones() -> None:
    rounds = [(review(*(f"{number}.png" for number in range(count))),) for count in (1, 2, 3)]
    decision = after(*rounds, every=DAY / 2)
    assert decision.notices[0].subject.startswith("still: 3 sheets")


def test_a_rejected_file_is_told_once_and_holds_up_no_all_is_well() -> None:
    assert told(after((rejected("a.pdf"),))) == [("trouble", 1)]
    assert told(after((rejected("a.pdf"),), (rejected("a.pdf"),), every=DAY)) == []
    assert told(after((rejected("a.pdf"),), (rejected("a.pdf", "b.pdf"),))) == [("trouble", 1)]
    assert told(after((rejected("a.pdf"), OUTAGE), (rejected("a.pdf"),))) == [("well", 0)]
    assert told(after((rejected("a.pdf"),), ())) == []


def test_of_what_was_not_looked_for_nothing_is_said() -> None:
    first = decide([OUTAGE], {}, at=NOON, again_after=DAY)
    blind = decide([], first.told, at=NOON, again_after=DAY, unseen={Kind.FAILED})
    assert blind.notices == ()
    assert blind.told == first.told


def test_another_failure_of_the_same_kind_tells_its_own_cause() -> None:
    def crashed(**causes: str) -> Trouble:
        return Trouble(Kind.FAILED, "WorkerFailed", next(iter(causes.values())), "Look", causes)

    decision = after((crashed(a="it crashed"),), (crashed(a="it crashed", b="it hung"),))
    assert [(list(n.sheets), n.cause) for n in decision.notices] == [(["b"], "it hung")]


@given(
    st.lists(
        st.sets(st.sampled_from(["a", "b", "c", "d"])).map(
            lambda names: (review(*sorted(names)),) if names else ()
        ),
        max_size=12,
    )
)
def test_every_sheet_in_doubt_is_told_and_every_end_of_all_trouble(rounds) -> None:
    """Whatever comes and goes, a run of trouble is announced wholly, and closed once."""
    remembered: dict[str, Told] = {}
    known: set[str] = set()
    for troubles in rounds:
        now = {name for trouble in troubles for name in trouble.sheets}
        decision = decide(troubles, remembered, at=NOON, again_after=DAY)
        announced = {name for notice in decision.notices for name in notice.sheets if notice.sheets}
        assert announced == now - known
        assert (News.WELL in {n.news for n in decision.notices}) == bool(known and not now)
        remembered, known = decision.told, now


@pytest.mark.parametrize("count", [1, 3, 500])
def test_a_message_names_sheets_cause_cure_and_run_and_stays_short(count: int) -> None:
    trouble = Trouble(
        **{**vars(OUTAGE), "sheets": {f"{number}.png": "" for number in range(count)}}
    )
    [notice] = decide([trouble], {}, at=NOON, again_after=DAY).notices
    message = message_of(notice, where="shop:/srv/catalogue", url="http://ui/runs/1")
    for part in ("0.png", "MongoDB did not answer", "Check that it runs", "http://ui/runs/1"):
        assert part in message["body"]
    assert message["sheet_count"] == count
    assert len(message["body"]) < 1500
    assert len(message["subject"]) <= 120
    assert ("and 480 more" in message["body"]) == (count == 500)


def test_a_files_name_gives_no_orders_to_a_chat() -> None:
    name = "<!channel> <https://elsewhere|here> @everyone.png"
    [notice] = decide([review(name)], {}, at=NOON, again_after=DAY).notices
    message = message_of(notice, where="shop:/srv", url="http://shop@ui/runs/1")
    read = message["subject"] + message["body"].replace("http://shop@ui/runs/1", "")
    assert not set("<>@") & set(read)
    assert message["sheets"] == [name]
