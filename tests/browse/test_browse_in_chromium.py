"""The site as people use it: in a real browser, opened from the disk."""

import csv
import json
import pathlib
import shutil
import time

import pytest

from configs import digits
from pad_jax import browse
from pad_jax.data import Dataset
from pad_jax.labelling import files
from pad_jax.report import page as page_of_report
from pad_jax.run import folder
from tests.support import report_run
from tests.support.piles import pile

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_DRIVER = shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    not (_CHROMIUM and _DRIVER),
    reason="needs a browser: apt-get install chromium chromium-driver",
)

# Four groups in two clusters, and two images in no group.
_GROUP = [0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3, -1, -1]
_CLUSTER = [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, -1]
_NAMES = [f"holiday/{i:02}.png" for i in range(len(_GROUP))]


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def chromium(downloads):
    options = webdriver.ChromeOptions()
    options.binary_location = _CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--window-size=1300,900"):
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(_DRIVER))
    yield driver
    driver.quit()


class Page:
    """The site of a pile in a browser, by what a user sees of it."""

    def __init__(self, chromium, index: pathlib.Path, downloads: pathlib.Path, collection):
        self.chromium, self.uri, self.downloads = chromium, index.as_uri(), downloads
        self.collection = collection
        self.chromium.get("about:blank")  # so that a site of the same address is loaded anew
        self.open()
        self.run("localStorage.clear()")
        self.open()

    def run(self, script: str, *arguments):
        return self.chromium.execute_script(script, *arguments)

    def open(self, view: str = ""):
        self.chromium.get(self.uri + (f"#{view}" if view else ""))
        if view:
            self.chromium.refresh()
        self.wait("html.is-ready")

    def wait(self, css: str):
        WebDriverWait(self.chromium, 10, 0.02).until(lambda _: self.all(css))
        return self.all(css)[0]

    def named(self, count: int):
        """Waits until so many images have a name: the page redraws when the browser has time."""
        waiting = WebDriverWait(self.chromium, 10, 0.02)
        waiting.until(lambda _: self.texts("#progress-text b") == [str(count)])

    def all(self, css: str):
        return self.chromium.find_elements(By.CSS_SELECTOR, css)

    def texts(self, css: str) -> list[str]:
        # In one script: between two calls the page may put another element in one's place.
        return self.run(
            "return [...document.querySelectorAll(arguments[0])].map(e => e.innerText.trim())", css
        )

    def press(self, *keys: str, control: bool = False):
        actions = ActionChains(self.chromium, duration=0)
        if control:
            actions.key_down(Keys.CONTROL)
        for key in keys:
            actions.send_keys(key)
        if control:
            actions.key_up(Keys.CONTROL)
        actions.perform()

    def saved(self) -> list[list[str]]:
        """Saves, by the keyboard, and reads the file."""
        file = self.downloads / "labels.csv"
        file.unlink(missing_ok=True)
        self.press("s", control=True)
        for _ in range(500):
            if file.exists():
                break
            time.sleep(0.01)
        self.press(Keys.ESCAPE)
        with file.open(newline="", encoding="utf-8", errors="surrogateescape") as lines:
            return list(csv.reader(lines))

    def labels(self) -> dict[str, str]:
        header, *lines = self.saved()
        assert header == ["image", "label"]
        labels = dict(lines)
        assert len(labels) == len(lines)
        return labels


@pytest.fixture
def page(chromium, downloads, tmp_path):
    def of(names=_NAMES, group=_GROUP, cluster=_CLUSTER, k=10):
        collection = pile(tmp_path, names, group, cluster, k)
        index = browse.write(collection, "the next command")
        return Page(chromium, index, downloads, collection)

    yield of
    severe = [entry for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"]
    assert not severe


def _group_of(page, count: int):
    """The card of the group with so many images."""
    return page.all(f'.card.group[aria-label^="Group of {count} images"]')[0]


def test_groups_are_named_corrected_undone_and_saved(page):
    page = page()
    page.open("groups")
    for count, name in ((4, "cat"), (3, "dog, brown")):
        _group_of(page, count).find_element(By.CSS_SELECTOR, "header .pick").click()
        field = page.wait(".name-bar .name-field")
        field.send_keys(name, Keys.ENTER)
    assert sorted(page.texts(".card .badge-text")) == ["cat", "dog, brown"]

    crosses = _group_of(page, 4).find_elements(By.CSS_SELECTOR, ".cross")
    for cross in crosses[:2]:
        ActionChains(page.chromium, duration=0).move_to_element(cross).click().perform()
    assert len(page.all(".is-out")) == 2
    page.press("z", control=True)
    assert len(page.all(".is-out")) == 1

    page.open("groups")  # a reload: the browser has kept all of it
    assert sorted(page.texts(".card .badge-text")) == ["cat", "dog, brown"]
    out = page.wait(".is-out").get_attribute("data-place")
    gone = page.run("return Pad.nameOf(arguments[0])", int(out))
    expected = {name: "cat" for name in _NAMES[:4]} | dict.fromkeys(_NAMES[4:7], "dog, brown")
    del expected[gone]
    assert page.labels() == expected


def test_names_do_not_come_back_on_other_images_of_the_same_file_names(page):
    page = page()
    files = [page.collection.path(i) for i in range(len(page.collection))]
    originals = [file.read_bytes() for file in files]

    def shown_of(changed):
        for file, content in zip(files, originals, strict=True):
            file.write_bytes(content + b"0" * 9 * (file in changed))
        browse.write(page.collection, "the next command")
        page.open("groups")
        return page.texts(".card .badge-text")

    page.open("groups")
    _group_of(page, 4).find_element(By.CSS_SELECTOR, "header .pick").click()
    page.wait(".name-bar .name-field").send_keys("cat", Keys.ENTER)
    assert shown_of([]) == ["cat"]
    assert shown_of(files[:2]) == ["cat"]
    assert shown_of(files) == []
    _group_of(page, 3).find_element(By.CSS_SELECTOR, "header .pick").click()
    page.wait(".name-bar .name-field").send_keys("dog", Keys.ENTER)
    assert shown_of([]) == ["cat"]
    assert shown_of(files) == ["dog"]


def test_the_keyboard_alone_names_takes_out_and_saves(page):
    page = page()
    assert page.texts("h2")[0].startswith("Name these")
    size = [len(page.all(".pictures .picture"))]
    page.press("apple", Keys.ENTER)  # a letter begins a name
    page.named(size[0])
    size.append(len(page.all(".pictures .picture")))
    page.press(Keys.ARROW_RIGHT, Keys.DELETE)  # the second image is none of them
    page.wait(".is-out")
    page.press("1")  # the key of the last name
    page.named(sum(size) - 1)
    assert len(page.labels()) == sum(size) - 1
    assert set(page.labels().values()) == {"apple"}
    page.press("?")
    assert page.all("dialog#help[open]")
    page.press(Keys.ESCAPE)
    # Through the bar at the top, by Tab alone, to the groups; from one to the next; a look at one.
    page.run("document.activeElement.blur()")
    for _ in range(30):
        page.press(Keys.TAB)
        if page.run("return document.activeElement.hash") == "#groups":
            break
    page.press(Keys.ENTER)
    first = page.wait(".card:focus")
    assert page.run("return getComputedStyle(arguments[0]).outlineStyle", first) == "solid"
    page.press(Keys.ARROW_RIGHT, " ", Keys.ARROW_RIGHT, " ")
    assert page.texts(".what b") == ["2 groups selected"]
    page.press(Keys.ENTER)
    page.wait(".stage")
    page.press(Keys.ENTER)
    page.wait("dialog.viewer[open]")
    page.press(Keys.ESCAPE)
    assert not page.all("dialog.viewer[open]")
    page.press(Keys.ESCAPE)
    page.wait(".card:focus")


def test_names_of_any_kind_come_back_as_they_are(page):
    names = [
        'quo"ted.png',
        "a, b.png",
        "two\nlines.png",
        "<img src=x onerror=window.hacked=1>.png",
        "</script><script>window.hacked=1</script>.png".replace("/", "\u2215"),
        b"latin-\xe9.png",
        "日本 #1?%41.png",
        "-rf.png",
    ]
    page = page(names, [0] * 8, [0] * 8)
    label = '<img src=x onerror=window.hacked=1>"é", 日本</b>'
    page.press("x")
    page.run("document.activeElement.value = arguments[0]", label)
    page.press(Keys.ENTER)
    expected = [n if isinstance(n, str) else n.decode("utf-8", "surrogateescape") for n in names]
    lines = page.saved()
    assert lines == [["image", "label"], *([name, label] for name in expected)]

    # --mode=label reads the file.
    found = files.read(page.downloads / "labels.csv", page.collection)
    assert (found.rows == 0).all()
    assert found.names == [label]

    page.run("localStorage.clear()")
    page.open("groups")
    assert not page.all(".badge")
    page.wait("#load").send_keys(str(page.downloads / "labels.csv"))
    page.wait(".card .badge-text")
    assert page.texts(".card .badge-text") == [label]
    assert page.saved() == lines
    # As a spreadsheet writes it, with other words at the top.
    table = page.downloads / "spreadsheet.csv"
    with table.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        csv.writer(file, delimiter=";").writerows([["Path", "Class"], *lines[1:]])
    page.run("localStorage.clear()")
    page.open("groups")
    page.wait("#load").send_keys(str(table))
    page.wait(".card .badge-text")
    assert page.saved() == lines
    assert page.run("return window.hacked ?? null") is None
    # The files themselves are found, too, whatever their names.
    for place in range(8):
        page.run("Pad.look(arguments[0])", place)
        page.wait(".original img:not(.thumbnail)")
        page.press(Keys.ESCAPE)
    assert page.run("return window.hacked") is None


def test_a_set_takes_one_name_and_single_images_that_of_a_group(page):
    page = page()
    page.open("groups")
    _group_of(page, 3).send_keys("bird", Keys.ENTER)
    page.open("sets")
    page.wait('.card.set[aria-label*="7 images"]').send_keys("fish", Keys.ENTER)
    expected = dict.fromkeys(_NAMES[:4], "fish") | dict.fromkeys(_NAMES[4:7], "bird")
    assert page.labels() == expected  # what was named by itself keeps its name

    page.open("outside")
    assert len(page.all(".card.single")) == 2
    page.wait(".nearest .badge").click()
    labels = page.labels()
    (added,) = set(labels) - set(expected)
    assert added in _NAMES[11:]
    assert labels[added] in ("fish", "bird")
    page.press("z", control=True)
    assert page.labels() == expected


def test_a_look_at_an_image_shows_its_file_and_its_neighbours(page, tmp_path):
    page = page()
    page.open("groups")
    _group_of(page, 2).find_element(By.CSS_SELECTOR, ".look").click()
    page.wait("dialog.viewer[open]")
    large = page.wait(".original img:not(.thumbnail)")
    assert large.get_attribute("src").startswith((tmp_path / "images").as_uri())
    path = page.wait(".path a").text
    assert pathlib.Path(path).is_file()
    assert len(page.all(".neighbors .picture")) == 10
    page.press("plum", Keys.ENTER)  # this image alone
    page.press(Keys.ESCAPE)
    assert page.labels() == {str(pathlib.Path(path).relative_to(tmp_path / "images")): "plum"}


def test_after_a_save_the_groups_that_add_most_are_offered(page):
    page = page(k=1)
    page.open("groups")
    _group_of(page, 4).send_keys("cat", Keys.ENTER)
    page.named(4)
    assert page.texts("#progress-text .near")[0].startswith("31 %")  # 4 of 13 images
    page.open("name")
    page.labels()
    assert page.texts("h2 .count") == ["1 of 3"]
    assert len(page.all(".pictures .picture")) == 3  # the largest of the others, all as far away
    page.press("dog", Keys.ENTER)
    assert len(page.all(".pictures .picture")) == 2
    page.press("z", control=True)
    assert len(page.all(".pictures .picture")) == 3


def test_nothing_in_a_report_runs(chromium, rng, tmp_path):
    nasty = '"><img src=x onerror=window.hacked=1><script>window.hacked=1</script>'
    snapshot = report_run.snapshot(rng)
    labels = snapshot.images.labels
    names = [f"{nasty}{i}" for i in range(len(labels))]
    classes = tuple(f"{nasty}{i}" for i in range(labels.max() + 1))
    images = report_run.make_images(labels, names=names)
    images.class_names = classes
    config = digits.get_config()
    config.dataset.root = nasty
    folder.write(tmp_path, config, Dataset(images, None))
    rows = [row | {f"train/{nasty}": 1.0} for row in report_run.metric_rows(3)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    written = tmp_path / "report.html"
    written.write_text(page_of_report.render(tmp_path, snapshot._replace(images=images)))
    chromium.get(written.as_uri())
    assert chromium.execute_script("return document.querySelectorAll('img[title*=hacked]').length")
    assert chromium.execute_script("return window.hacked ?? null") is None
    assert not chromium.execute_script("return document.querySelectorAll('script').length")
