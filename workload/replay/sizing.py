"""How many words make so many tokens: fixed, or learned from what the servers count. Pure."""

from workload.replay.measure import Durations

LEARN_FROM = 8  # answers before a line is drawn through them
SPREAD_WORDS = 2.0  # and so far apart (standard deviation) must their sizes be


class Sizing:
    """Words for a number of prompt tokens, by ``tokens = overhead + per_word * words``.

    The overhead is what a chat template adds to each request; a word of a real tokenizer is rarely exactly one token.
    Fixed if ``per_word`` is given, else both are fitted by least squares to what the servers count, from the eighth
    answer on (one word is one token until then). It learns only from prompts made wholly of our own words.
    """

    def __init__(self, per_word: float | None = None) -> None:
        self.per_word = per_word or 1.0
        self.overhead = 0.0
        self._learns = per_word is None
        self._n = 0
        self._sums = [0.0] * 4  # words, tokens, words², words·tokens

    def words(self, tokens: int) -> int:
        """Return how many words (1 or more) make ``tokens`` tokens, the overhead included."""
        return max(1, round((tokens - self.overhead) / self.per_word))

    def more_words(self, tokens: int) -> int:
        """Return how many words (1 or more) make ``tokens`` more tokens in a request that exists already."""
        return max(1, round(tokens / self.per_word))

    def learn(self, words: int, tokens: int) -> None:
        """Take what a server counted for a prompt of ``words`` words."""
        if not self._learns or words < 1 or tokens < 1:
            return
        self._n += 1
        for place, value in enumerate((words, tokens, words * words, words * tokens)):
            self._sums[place] += value
        mean_words, mean_tokens = self._sums[0] / self._n, self._sums[1] / self._n
        variance = self._sums[2] / self._n - mean_words**2
        if self._n < LEARN_FROM:
            return
        if variance > SPREAD_WORDS**2:
            per_word = (self._sums[3] / self._n - mean_words * mean_tokens) / variance
            self.per_word = min(max(per_word, 0.1), 20.0)
            self.overhead = max(0.0, mean_tokens - self.per_word * mean_words)
        else:  # too alike for a line: right on the average
            self.per_word = min(max(mean_tokens / mean_words, 0.1), 20.0)

    def figures(self) -> dict[str, float]:
        """Return what is in use now."""
        return {"tokens_per_word": round(self.per_word, 4), "overhead_tokens": round(self.overhead, 2)}


class PromptErrors:
    """By how much the prompts' tokens, as servers counted them, differ from what the trace asks."""

    def __init__(self) -> None:
        self._asked = 0
        self._got = 0
        self._off = Durations()  # |got/asked - 1|; the histogram does not mind what is counted

    def add(self, asked: int, got: int) -> None:
        """Count one prompt the server told the tokens of."""
        self._asked += asked
        self._got += got
        self._off.add(abs(got / asked - 1))

    def summary(self) -> dict[str, float | int] | None:
        """Return tokens asked and counted, the total's relative error and quantiles of each prompt's; None of none."""
        off = self._off.summary()
        if off is None:
            return None
        # Below 1e-5 is the histogram's way to say 0.
        quantiles = {f"error_ratio_{name}": round(value, 5) for name, value in off.items() if name != "p90"}
        total = round(self._got / self._asked - 1, 6)
        return {"n": self._off.count, "asked": self._asked, "counted": self._got, "error_ratio": total, **quantiles}
