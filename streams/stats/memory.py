"""Memory coefficient of gaps: does a long gap follow a long one?"""

from math import sqrt


def memory_coefficient(gaps: int, total: int, squares: int, *, products: int, ends: tuple[int, int]) -> float | None:
    """Return M, the correlation of neighbouring gaps (Goh and Barabasi, EPL 81:48002, 2008), in [-1, 1].

    About 0 where each gap is drawn afresh, however bursty (with n gaps it averages -1/n there); above 0 where
    bursts last for many events. It tells bursty gaps from bursty episodes.

    ``gaps`` is their number n, ``total`` and ``squares`` the sums of the gaps and their squares, ``products`` the
    sum of x_i x_{i+1} over the n - 1 neighbours, ``ends`` the first and the last gap: whole numbers in any unit.
    From them come the means and deviations of the first n - 1 and of the last n - 1 gaps, exactly. Fewer than
    three gaps, or all of either part equal: None.

    >>> x = [1, 2, 3, 4]
    >>> memory_coefficient(4, 10, 30, products=1 * 2 + 2 * 3 + 3 * 4, ends=(1, 4))
    1.0
    >>> memory_coefficient(4, 6, 10, products=1 * 2 + 2 * 1 + 1 * 2, ends=(1, 2))  # 1, 2, 1, 2
    -1.0
    >>> memory_coefficient(3, 3, 3, products=2, ends=(1, 1)) is None
    True
    """
    if gaps < 3:
        return None
    pairs, (first, last) = gaps - 1, ends
    head, tail = total - last, total - first
    head_spread = pairs * (squares - last * last) - head * head
    tail_spread = pairs * (squares - first * first) - tail * tail
    if not head_spread or not tail_spread:
        return None
    m = (pairs * products - head * tail) / sqrt(head_spread * tail_spread)
    return max(-1.0, min(1.0, m))
