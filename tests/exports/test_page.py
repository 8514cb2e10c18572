"""The page of tm-export html in a real browser: clicks, search, zoom, keys, sorting; names that attack it; its size."""

import html.parser
import json
import os
import re

import debuggers
import pytest
from exporting import has_page
from selection import thorough

pytestmark = [thorough, pytest.mark.skipif(not has_page(), reason="built without the page: npm fetched no libraries")]


@pytest.fixture(scope="module")
def seen(exported, browser):
    """What a person sees who uses the page: page_probe.js."""
    folder = os.environ.get("TM_PICTURES")
    return browser("page_probe.js", exported.path("html"), *([folder] if folder else []))


@pytest.fixture(scope="module")
def seen_difference(exported, browser):
    folder = os.environ.get("TM_PICTURES")
    return browser("difference_probe.js", exported.path("html.diff"), *([folder] if folder else []))


def bar(bars, text):
    """The one bar of this function, or with this text."""
    (found,) = [each for each in bars if (each["name"] + "  ").startswith(text + "  ")]
    return found


def width(bars, text):
    """Of all bars of this function: it may have several callers."""
    return sum(each["width"] for each in bars if (each["name"] + "  ").startswith(text + "  "))


def test_nothing_goes_wrong_and_nothing_is_loaded(seen, seen_difference):
    for each in (seen, seen_difference):
        assert each["wrong"] == []
        assert each["requests"] == 1  # the page itself


def test_names_from_the_target_do_nothing(seen):
    assert seen["hacked"] == "undefined" and seen["images"] == 0
    assert seen["scripts"] == 5  # the licences, the data, two libraries and our own
    assert any("<script>window.hacked=1" in row for row in seen["rows"])
    assert any("onerror=" in row for row in seen["rows"])
    assert not any("\u202e" in row for row in seen["rows"])
    assert any("\\u202e" in row for row in seen["rows"])
    (long,) = [row for row in seen["rows"] if "longlong" in row]
    assert len(long) < 1000 and re.search(r"… \(\d+ bytes\)", long)


def test_the_head_says_what_tm_info_says(seen, exported):
    assert re.fullmatch(r"Memory of process \d+", seen["title"])
    blocks = "{:,}".format(exported.top["total_count"])
    assert any(tile.endswith("in %s live blocks" % blocks) for tile in seen["tiles"])
    assert any("peak of traced memory" in tile for tile in seen["tiles"])
    assert seen["notes"] == []


def test_widths_are_sizes(seen, exported):
    root = bar(seen["begin"], "all")["width"]
    size = sum(row["size"] for row in exported.functions["statistics"] if row.get("name") == "Basket.make")
    expected = root * size / exported.top["total_size"]
    assert width(seen["begin"], "Basket.make") == pytest.approx(expected, abs=2)


def test_the_traceback_of_the_largest_line_is_shown_at_once(seen):
    assert "Basket.make" in seen["panel"] and "return bytearray(100000)" in seen["panel"]
    assert "Basket.make" in seen["rows"][0] and "return bytearray(100000)" in seen["rows"][0]


def test_search_marks_bars_and_keeps_the_rows_that_match(seen):
    assert re.match(r"\d bars match: \d+\.\d % of what is shown", seen["found"])
    assert len(set(seen["found_fills"])) == 1
    before = {each["fill"] for each in seen["begin"] if "Basket" in each["name"]}
    assert before and not before & set(seen["found_fills"])
    assert seen["found_rows"] and all("Basket" in row for row in seen["found_rows"])


def test_a_click_zooms_and_shows_the_traceback(seen):
    assert width(seen["zoomed"], "Basket.add") == pytest.approx(bar(seen["begin"], "all")["width"], abs=2)
    assert not any("onerror" in each["name"] for each in seen["zoomed"])
    assert "Basket.add" in seen["zoomed_panel"] and "Basket.make" not in seen["zoomed_panel"]
    widths = [{each["name"]: round(each["width"]) for each in seen[when]} for when in ("begin", "reset")]
    assert widths[0] == widths[1]


def test_keys_move_and_zoom(seen):
    # The heaviest bar below all, then the heaviest below it.
    marked = [each for each in seen["by_keys"] if each["marked"]]
    assert len(marked) == 1
    assert marked[0]["width"] == pytest.approx(bar(seen["begin"], "all")["width"], abs=2)
    assert marked[0]["name"].split("  ")[0] in seen["by_keys_detail"]


def test_inverted_the_lines_that_allocated_come_first(seen):
    inverted, begin = seen["inverted"], seen["begin"]
    assert width(inverted, "Basket.make") == pytest.approx(width(begin, "Basket.make"), abs=2)
    assert width(inverted, "Basket.add") == pytest.approx(width(begin, "Basket.make"), abs=2)


def test_hidden_frames_give_their_memory_to_their_callers(seen):
    assert not any("shop.py" in each["name"] for each in seen["hidden"])
    assert bar(seen["hidden"], "all")["width"] == pytest.approx(bar(seen["begin"], "all")["width"], abs=2)


def test_blocks_can_be_measured_instead_of_bytes(seen, exported):
    root = bar(seen["by_count"], "all")["width"]
    assert not any("Basket.make" in each["name"] and each["width"] > root / 10 for each in seen["by_count"])


def test_the_table_sorts_and_shows_tracebacks(seen):
    assert seen["sorted"][-1] == "ascending" and seen["sorted"][:-1] == ["none"] * (len(seen["sorted"]) - 1)
    assert any("Basket.make" in row for row in seen["functions"])
    assert seen["row_panel"][-1].startswith('File "') and "Basket.make" in seen["row_panel"][-1]
    assert any("Basket.add" in item for item in seen["row_panel"])


def test_the_treemap_opens_a_file(seen):
    assert any(tile.startswith("shop.py") for tile in seen["tiles_of_map"])
    assert any("Basket.make" in tile for tile in seen["lines_of_map"])
    assert seen["crumbs"][0] == "all files" and seen["crumbs"][-1] == "shop.py"


def test_everything_has_a_label_and_the_page_can_be_dark(seen):
    assert seen["unlabelled"] == 0 and seen["dark"]


def test_a_difference_shows_what_grew(seen_difference, exported):
    seen = seen_difference
    assert seen["title"].startswith("What grew in process ")
    root = bar(seen["growth"], "all")["width"]
    assert width(seen["growth"], "Basket.make") > 0.9 * root
    assert not any("onerror" in each["name"] for each in seen["growth"])
    assert width(seen["new"], "Basket.make") < 0.9 * root
    assert any("onerror" in each["name"] for each in seen["old"])
    (grown,) = [row["size_diff"] for row in exported.diff["statistics"] if row.get("name") == "Basket.make"]
    assert "Basket.make" in seen["rows"][0] and seen["rows"][0].startswith("+%.0f KiB" % (grown / 1024))
    total = exported.diff["total_size_diff"]
    assert seen["tiles"][0].startswith("+%.1f KiB" % (total / 1024) if total < 102400 else "+")


def test_on_a_narrow_screen_places_and_tracebacks_are_seen_and_types_are_no_places(exported, browser, tmp_path):
    page = tmp_path / "types.html"
    debuggers.answers("gdb", ["tm-export html %s type,traceback" % page], core=exported.path("new.core"))
    folder = os.environ.get("TM_PICTURES")
    seen = browser("narrow_probe.js", page, *([folder] if folder else []))
    assert seen["wrong"] == [] and not seen["too_wide"] and seen["at_begin"] == 0
    assert "bytearray" in seen["bars"] and "type" in seen["legend"]
    assert "Basket.make" in seen["rows"][0] and seen["place_in_view"]
    assert not any("<type>" in row for row in seen["rows"])
    assert seen["panel_in_view"] and "objects of type bytearray" not in seen["panel"]
    size = sum(row["size"] for row in exported.functions["statistics"] if row.get("name") == "Basket.make")
    assert "Basket.make" in seen["panel"] and "%.0f KiB in " % (size / 1024) in seen["panel"]
    assert seen["back"]


# -- without a browser


class Elements(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.policy = [], None

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)
        if ("http-equiv", "Content-Security-Policy") in attrs:
            self.policy = dict(attrs)["content"]
        for name, value in attrs:
            assert not name.startswith("on"), "an inline handler: %s=%s" % (name, value)


def test_the_policy_allows_nothing_but_the_pages_own_scripts(exported):
    elements = Elements()
    elements.feed(exported.read("html"))
    policy = dict(part.split(" ", 1) for part in elements.policy.split("; "))
    assert policy.pop("default-src") == "'none'"
    assert policy.pop("base-uri") == policy.pop("form-action") == "'none'"
    assert set(policy) == {"script-src", "style-src"}
    for sources in policy.values():
        assert all(re.fullmatch(r"'sha256-[\w+/]{43}='", source) for source in sources.split())
    assert "img" not in elements.found and "iframe" not in elements.found


def test_the_data_of_the_page_has_the_sums_of_tm_top(exported):
    data = json.loads(re.search(r'id="data">(.*)</script>', exported.read("html")).group(1))
    assert data["version"] == 1
    assert data["total"] == [exported.top["total_size"], exported.top["total_count"]]
    rows = data["places"]["lineno"]["rows"]
    own = sum(rows[1::5]) + data["places"]["lineno"]["other"][0]
    assert own == exported.top["total_size"]
    tops = [data["nodes"][i + 2] for i in range(0, len(data["nodes"]), 4) if data["nodes"][i] == 0]
    assert sum(tops) + data["cut"][0] == exported.top["total_size"]


def test_the_licences_of_the_libraries_are_in_the_page(exported):
    page = exported.read("html")
    assert "Mike Bostock" in page and "Apache License" in page
    assert os.path.getsize(exported.path("html")) < 1000000
