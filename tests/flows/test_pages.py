from __future__ import annotations

from prefect.settings import PREFECT_API_URL, PREFECT_UI_URL, temporary_settings

from flows.pages import Link, cell, flow_run_url, table


def test_numbers_stand_to_the_right_and_words_to_the_left():
    lines = table(["sheet", "pairs"], [["mugs.png", 12], ["cups.png", 3.5]]).splitlines()
    assert lines == [
        "| sheet | pairs |",
        "| --- | ---: |",
        "| mugs.png | 12 |",
        "| cups.png | 3.5 |",
    ]


def test_a_name_can_neither_break_out_of_its_cell_nor_become_html_or_markdown():
    assert cell("a|b\n<img src=x>*bold*[x](y)") == r"a\|b\\n\<img src=x\>\*bold\*\[x\](y)"
    assert cell("images_old/page_1.png") == "images_old/page_1.png"
    assert cell("_page_.png") == r"\_page\_.png"


def test_links_lead_where_they_say():
    assert cell(Link("page|1", "http://127.0.0.1/x")) == r"[page\|1](http://127.0.0.1/x)"


def test_pages_are_beside_the_api_unless_a_setting_says_otherwise():
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:4200/api"}):
        assert flow_run_url("7") == "http://127.0.0.1:4200/runs/flow-run/7"
    with temporary_settings({PREFECT_UI_URL: "https://prefect.example.org"}):
        assert flow_run_url("7") == "https://prefect.example.org/runs/flow-run/7"
