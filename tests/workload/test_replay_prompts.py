"""Prompts: exact numbers of words, beginnings of their own, the user's texts, and how words become tokens."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.schema.errors import OperatorError
from workload.replay.answer import Answer
from workload.replay.compose import Composer, Form
from workload.replay.prompt_file import read_prompts
from workload.replay.schedule import Shot
from workload.replay.sizing import PromptErrors, Sizing
from workload.replay.tokenizer import load_counter
from workload.replay.words import PREFIX_WORDS, WORDS, WordPool

POOL = WordPool(7)


def test_the_built_in_words_are_256_different_plain_ones():
    assert len(set(WORDS)) == len(WORDS) == 256
    assert all(word.isascii() and word.isalpha() and word.islower() for word in WORDS)


@given(st.integers(0, 2**33), st.integers(1, 3000))
def test_a_prompt_has_exactly_so_many_words(number, words):
    assert len(POOL.prompt(number, words).split()) == words


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(PREFIX_WORDS, 50))
def test_no_two_prompts_begin_alike(one, other, words):
    first, second = (POOL.prompt(number, words).split()[:PREFIX_WORDS] for number in (one, other))
    assert (first == second) == (one == other)


def test_neighbours_differ_from_the_first_word_on():
    assert len({POOL.prompt(number, 1) for number in range(256)}) == 256


def test_the_same_seed_gives_the_same_prompts_and_another_begins_otherwise():
    assert WordPool(7).prompt(3, 100) == POOL.prompt(3, 100)
    other = WordPool(8)
    assert not [n for n in range(100) if other.prompt(n, 4) == POOL.prompt(n, 4)]


def test_the_users_texts_are_cut_and_joined_to_length():
    pool = WordPool(1, ["one two three", "four five"], own_prefix=False)
    assert pool.prompt(0, 2) == "one two"
    assert pool.prompt(1, 2) == "four five"
    assert pool.prompt(1, 4) == "four five one two"
    assert pool.prompt(0, 12).split() == ["one", "two", "three", "four", "five"] * 2 + ["one", "two"]
    own = WordPool(1, ["one two three"]).prompt(0, 6).split()
    assert own[PREFIX_WORDS:] == ["one", "two"]


@pytest.mark.parametrize(
    ("name", "text", "prompts"),
    [
        ("p.txt", "tell me\n\n  why  \n", ["tell me", "  why  "]),
        ("p.jsonl", '"a b"\n{"prompt": "c"}\n{"text":"d"}\n', ["a b", "c", "d"]),
        ("p.jsonl", '{"messages":[{"role":"user","content":"e"}]}\n{"conversations":[{"value":"f"}]}', ["e", "f"]),
    ],
)
def test_prompt_files_of_the_usual_shapes(tmp_path, name, text, prompts):
    (tmp_path / name).write_text(text)
    assert read_prompts(str(tmp_path / name)) == prompts


@pytest.mark.parametrize(
    ("text", "said"),
    [('"a"\n{]', "line 2 is not JSON"), ('{"x": 1}', "line 1 has no prompt"), ("\n\n", "no prompt in it")],
)
def test_a_prompt_file_without_prompts_is_the_operators_to_mend(tmp_path, text, said):
    (tmp_path / "p.jsonl").write_text(text)
    with pytest.raises(OperatorError, match=said):
        read_prompts(str(tmp_path / "p.jsonl"))
    with pytest.raises(OperatorError, match="cannot read"):
        read_prompts(str(tmp_path / "none.txt"))


# ------------------------------------------------------------------------------------------------ words and tokens


@given(st.floats(0.3, 4.0), st.integers(0, 60), st.integers(0, 2**16))
def test_what_a_word_costs_and_what_the_template_adds_are_learned(per_word, overhead, seed):
    sizing, rng = Sizing(), np.random.default_rng(seed)
    for words in rng.integers(10, 2000, size=60).tolist():
        sizing.learn(words, overhead + round(per_word * words))
    for tokens in (200, 1500, 4000):
        got = overhead + per_word * sizing.words(tokens)
        assert abs(got - tokens) <= per_word / 2 + 2


def test_one_word_is_one_token_until_enough_is_known_and_where_it_is_so_it_stays_so():
    sizing = Sizing()
    for words in (5, 700, 33, 81, 2, 1900, 64):
        sizing.learn(words, 3 * words)
        assert sizing.words(500) == 500
    plain = Sizing()
    for words in range(1, 300):
        plain.learn(words, words)
        assert [plain.words(n) for n in (1, 2, 472, 8000)] == [1, 2, 472, 8000]


def test_prompts_of_one_length_are_right_on_the_average():
    sizing = Sizing()
    for _ in range(20):
        sizing.learn(100, 150)
    assert sizing.words(150) == 100


def test_a_given_factor_is_kept():
    sizing = Sizing(1.5)
    for words in range(10, 100):
        sizing.learn(words, 9 * words)
    assert sizing.words(300) == 200
    assert sizing.words(1) == 1


def test_the_error_of_the_prompts_is_stated():
    errors = PromptErrors()
    assert errors.summary() is None
    for asked, got in ((100, 100), (100, 110), (200, 190)):
        errors.add(asked, got)
    said = errors.summary()
    assert (3, 400, 400, 0.0) == tuple(said[name] for name in ("n", "asked", "counted", "error_ratio"))
    assert said["error_ratio_max"] == pytest.approx(0.1)


# ------------------------------------------------------------------------------------------------ a real tokenizer


def syllables(text):
    """A tokenizer as uneven as real ones: a token per three letters of a word, begun or whole."""
    return sum(-(-len(word) // 3) for word in text.split())


SIZED = WordPool(7, cost=syllables)


@given(st.integers(1, 3000), st.integers(0, 1000))
def test_a_tokenizer_makes_prompts_exactly_as_long_as_asked(tokens, number):
    counted = syllables(SIZED.prompt(number, tokens))
    assert counted == tokens or (tokens == 1 and counted <= 3)  # the first word is its own, however many it takes


def test_where_no_word_is_small_enough_the_prompt_comes_as_near_as_words_allow():
    coarse = WordPool(7, cost=lambda _: 3)
    assert [1, 1, 2, 33] == [len(coarse.prompt(0, size).split()) for size in (1, 5, 6, 100)]


def test_with_a_tokenizer_what_the_template_adds_is_still_learned():
    makes = Composer(SIZED, Sizing(), Form(), histories=False)
    lengths = np.random.default_rng(1).integers(50, 900, size=40).tolist()
    for number, tokens in enumerate(lengths):
        one = Shot(at_s=0.0, prompt_tokens=tokens, response_tokens=1, model="m", session=None)
        made = makes.compose(one, number)
        counted = syllables(made.new.text) + 24
        makes.answered(one, made, Answer(request_tokens=counted))
        if number > 20:
            assert abs(counted - tokens) <= 1


def test_the_tokenizers_package_is_asked_for_only_when_wanted(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(OperatorError, match="pip install tokenizers"):
        load_counter("x.json")

    class Fake:
        @staticmethod
        def from_file(path):
            if not path.endswith("tokenizer.json"):
                raise Exception("no such file")  # noqa: TRY002 - as the library does
            return SimpleNamespace(
                encode=lambda text, *, add_special_tokens: SimpleNamespace(
                    ids=[0] * (syllables(text) + add_special_tokens)
                )
            )

    monkeypatch.setitem(sys.modules, "tokenizers", SimpleNamespace(Tokenizer=Fake))
    assert load_counter("tokenizer.json")("abcd ab") == 3
    with pytest.raises(OperatorError, match="cannot read --tokenizer"):
        load_counter("x.json")
