"""Real programs in the explorer: a language model, and a training step with its backward and optimizer."""

from collections.abc import Iterator

import pytest
import torch
from playwright.sync_api import Browser
from transformers import GPT2Config, GPT2LMHeadModel

import opscope
from support.explorer_page import ExplorerPage


@pytest.fixture(scope="module")
def gpt2() -> opscope.TracedProgram:
    """A small GPT-2 of two layers."""
    torch.manual_seed(0)
    config = GPT2Config(n_layer=2, n_embd=48, n_head=4, vocab_size=100)
    config.bos_token_id = config.eos_token_id = 0
    return opscope.trace(GPT2LMHeadModel(config).eval(), (torch.arange(8)[None],))


@pytest.fixture(scope="module")
def step() -> opscope.TracedProgram:
    """A training step of a small network, each primitive of it."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        *(torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.GELU()) for _ in range(3)),
        torch.nn.Linear(8, 2),
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def train(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    train(torch.randn(4, 8), torch.tensor([0, 1, 0, 1]))
    inputs = (torch.randn(4, 8), torch.tensor([0, 1, 0, 1]))
    return opscope.trace(train, inputs, depth="deep")


def test_a_language_model_opens_with_its_blocks_in_a_run(
    page: ExplorerPage, gpt2: opscope.TracedProgram
) -> None:
    page.open(gpt2)
    page.picture("gpt2")
    assert any("×2" in title for title in page.boxes() + page.frames())
    assert len(page.boxes()) < 60
    assert page.ask("return view.view.zoom;") >= 0.8
    assert page.page.locator(".subtitle").inner_text().startswith("traced with torch")


def test_all_of_a_language_model_unfolds_and_each_operator_is_drawn_once(
    page: ExplorerPage, gpt2: opscope.TracedProgram
) -> None:
    page.open(gpt2)
    page.choose("Unfold to a level", "to all operators")
    drawn = page.ask("""
      const nodeOf = (item) => (item < 0 ? arrangement.leafOf(~item) : item);
      const nodes = view.picture.boxes.map((box) => nodeOf(box.item));
      return [nodes.length, new Set(nodes).size, arrangement.flows.isDrawn.reduce((a, b) => a + b)];""")
    assert drawn[0] == drawn[1] == drawn[2]
    page.press("0")
    page.picture("gpt2_whole")


def test_boxes_stand_apart_from_each_other_and_inside_their_frames(
    page: ExplorerPage, gpt2: opscope.TracedProgram
) -> None:
    page.open(gpt2)
    page.ask("session.unfoldAll();")
    wrong = page.ask("""
      const sides = (b) => [b.x - b.width / 2, b.y - b.height / 2, b.x + b.width / 2, b.y + b.height / 2];
      const isApart = ([l, t, r, b], [l2, t2, r2, b2]) => r <= l2 || r2 <= l || b <= t2 || b2 <= t;
      const isInside = ([l, t, r, b], f) =>
        l >= f.x && t >= f.y && r <= f.x + f.width && b <= f.y + f.height;
      const { boxes, frameOf } = view.picture;
      const wrong = [];
      boxes.forEach((box, at) => {
        const around = box.item < 0 ? model.branchParent[~box.item] : model.nodeBranch[box.item];
        const frame = frameOf.get(around);
        if (frame && !isInside(sides(box), frame)) wrong.push([box.title, frame.title]);
        for (const other of boxes.slice(at + 1)) {
          if (!isApart(sides(box), sides(other))) wrong.push([box.title, other.title]);
        }
      });
      return wrong;""")
    assert wrong == []


def test_what_was_found_is_in_sight_and_its_line_in_the_source(
    page: ExplorerPage, gpt2: opscope.TracedProgram
) -> None:
    page.open(gpt2)
    page.search("op:tanh")
    page.press("ArrowDown", "Enter")
    page.page.get_by_role("tab", name="Source").click()
    page.settle()
    page.picture("source")
    place = page.place("tanh")
    assert 280 < place.x < 1020
    assert 42 < place.y < 860
    assert "torch.tanh(" in page.text("aside")


def test_the_phases_of_a_training_step_are_shown_and_left_out(
    page: ExplorerPage, step: opscope.TracedProgram
) -> None:
    page.open(step)
    page.picture("step")
    toggles = page.page.locator(".bar-group button")
    assert toggles.all_inner_texts() == ["forward", "backward", "optimizer"]
    page.ask("session.unfoldAll();")
    phases = """
      const isOperator = ({ item }) => item >= 0 && !model.isEnd(item);
      const drawn = view.picture.boxes.filter(isOperator).map(({ item }) => model.phase(item));
      return [...new Set(drawn)].sort();"""
    assert page.ask(phases) == [0, 1, 2]
    page.page.get_by_role("button", name="backward", exact=True).click()
    page.settle()
    assert page.ask(phases) == [0, 2]
    page.page.get_by_role("button", name="optimizer", exact=True).click()
    page.settle()
    assert page.ask(phases) == [0]
    page.page.get_by_role("button", name="backward", exact=True).click()
    page.settle()
    assert page.ask(phases) == [0, 1]
    assert (
        page.page.get_by_role("button", name="backward", exact=True).get_attribute("aria-pressed")
        == "true"
    )


def test_what_is_shown_is_the_same_each_time(
    page: ExplorerPage, step: opscope.TracedProgram
) -> None:
    assert opscope.to_html(step) == opscope.to_html(step)
    page.open(step)
    state = "return JSON.stringify(view.picture.boxes);"
    first = page.ask(state)
    page.visit()
    assert page.ask(state) == first


@pytest.fixture(params=[("light", 1400, 900), ("dark", 1400, 900), ("light", 900, 600)])
def look(
    request: pytest.FixtureRequest, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ExplorerPage]:
    """A page in a theme and of a size."""
    theme, width, height = request.param
    with browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=theme, reduced_motion="reduce"
    ) as context:
        yield ExplorerPage(context.new_page(), tmp_path_factory.mktemp(f"{theme}{width}"))


def test_at_any_size_and_in_any_theme_all_controls_fit(
    look: ExplorerPage, step: opscope.TracedProgram, request: pytest.FixtureRequest
) -> None:
    look.open(step)
    look.click(look.boxes()[1])
    look.picture(f"look_{request.node.callspec.id.replace('look', '')}")
    beyond = look.page.evaluate("""() => [...document.querySelectorAll('button, select, input')]
      .filter((e) => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 1)
      .map((e) => e.title || e.textContent)""")
    assert beyond == []
    assert look.problems == []
