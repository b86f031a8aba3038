"""Models and their solvers against brute force, and its honesty about what was reached."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from planning.errors import InputError, SolverError
from planning.solver import Model, available_solvers, choice, relative_gap
from planning.solver.answer import Answer
from planning.solver.interruption import stops_when

BOTH = pytest.mark.parametrize("solver", ["highs", "cbc"])


def knapsack(weights, values, capacity):
    model = Model("knapsack", maximise=True)
    take = model.variables("take", len(weights), upper=1, integer=True)
    model.cost(take, values)
    model.rows(0, take, weights, upper=capacity)
    return model, take


def market_split(rows=5, columns=36, seed=3):
    """Market-split instances: tiny, and notoriously out of reach of branch and bound."""
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 100, (rows, columns))
    model = Model("market split")
    x = model.variables("x", columns, upper=1, integer=True)
    over = model.variables("over", rows)
    under = model.variables("under", rows)
    row = np.repeat(np.arange(rows), columns)
    model.rows(
        np.concatenate([row, np.arange(rows), np.arange(rows)]),
        np.concatenate([np.tile(x, rows), over, under]),
        np.concatenate([a.ravel(), -np.ones(rows), np.ones(rows)]),
        a.sum(1) // 2,
        a.sum(1) // 2,
    )
    model.cost(np.concatenate([over, under]), 1.0)
    return model


@BOTH
def test_knapsack_equals_brute_force(solver):
    rng = np.random.default_rng(0)
    for _ in range(5):
        weights, values = rng.integers(1, 30, 9), rng.integers(1, 30, 9)
        best = max(
            sum(values[list(s)])
            for r in range(10)
            for s in itertools.combinations(range(9), r)
            if weights[list(s)].sum() <= 60
        )
        model, _ = knapsack(weights, values, 60)
        result = model.solve(solver, gap=0)
        assert result.status == "optimal"
        assert result.objective == pytest.approx(best)
        assert result.bound == pytest.approx(best)
        assert result.values @ weights <= 60 + 1e-9


@BOTH
def test_rows_with_two_sides_sum_doubled_terms_and_the_constant_counts(solver):
    model = Model("lp")
    v = model.variables("v", 2, lower=-5, upper=5)
    model.rows([0, 0, 0], [v[0], v[0], v[1]], [1, 1, 1], lower=-3, upper=4)
    model.cost(v, [1, 0.1])
    model.constant = 10
    result = model.solve(solver)
    # 2a + b >= -3 with a, b >= -5 and a the dearer one: a = -4 at b = 5
    assert result.status == "optimal"
    np.testing.assert_allclose(result.values, [-4, 5])
    assert result.objective == pytest.approx(10 - 4 + 0.5)


@BOTH
def test_infeasible_and_unbounded_are_told_apart(solver):
    model = Model("no way")
    v = model.variables("v", 2, upper=1, integer=True)
    model.rows([0, 0], v, 1.0, lower=3)
    result = model.solve(solver)
    assert result.status == "infeasible" and not result.has_solution and result.objective is None
    model = Model("no end", maximise=True)
    v = model.variables("v", 2)
    model.cost(v, 1.0)
    model.rows([0, 0], v, [1.0, -1.0], upper=1)
    assert model.solve(solver).status == "unbounded"


@pytest.mark.slow
@BOTH
def test_a_time_out_is_never_optimal(solver):
    model = market_split()
    model.constant = 1000.0  # belongs to the objective and to its bound
    result = model.solve(solver, time_limit=0.5, gap=0)
    assert result.status in ("feasible", "no solution")
    if result.status == "feasible":
        assert result.objective >= 1000
        assert result.bound is None or 1000 - 1e-6 <= result.bound <= result.objective + 1e-6
        assert result.gap is None or result.gap > 0
    assert "optimal" not in result.sentence


@pytest.mark.slow
@BOTH
def test_a_start_solution_is_taken_or_improved(solver):
    model = market_split(seed=7)
    first = model.solve(solver, time_limit=1.5, gap=0)
    assert first.has_solution
    again = market_split(seed=7)
    again.start(np.arange(len(first.values)), first.values)
    second = again.solve(solver, time_limit=0.5, gap=0)
    assert second.has_solution and second.objective <= first.objective + 1e-6


def test_a_model_without_variables_is_solved_and_bad_settings_are_refused():
    assert Model("nothing").solve().status == "optimal"
    model, _ = knapsack(np.array([1]), np.array([1]), 1)
    with pytest.raises(InputError, match="time limit"):
        model.solve(time_limit=0)
    with pytest.raises(InputError, match="gap"):
        model.solve(gap=2)
    with pytest.raises(InputError, match="Unknown solver"):
        model.solve("gurobi")


def test_a_missing_solver_says_what_to_install(monkeypatch):
    model, _ = knapsack(np.array([1]), np.array([1]), 1)
    monkeypatch.setattr(choice, "available_solvers", lambda: ())
    with pytest.raises(SolverError, match="pip install highspy"):
        model.solve()
    with pytest.raises(SolverError, match=r"pip install 'pulp\[cbc\]'"):
        model.solve("cbc")


def test_both_solvers_are_here_and_a_gap_is_relative_to_the_objective():
    assert "highs" in available_solvers()
    assert relative_gap(100, 99) == pytest.approx(0.01)
    assert relative_gap(0.0, 0.0) == 0
    assert relative_gap(0.0, -1.0) == float("inf")
    assert relative_gap(None, 1.0) is None


def test_the_number_of_threads_can_change_between_solves():
    for threads in (1, 2, None, 1):
        model, _ = knapsack(np.array([2, 3, 4]), np.array([3, 4, 6]), 6)
        assert model.solve("highs", threads=threads).objective == pytest.approx(9)


@pytest.mark.parametrize(
    ("start", "status"), [([1.0, 0.0, 1.0], "feasible"), ([1.0, 1.0, 1.0], "no solution")]
)
def test_a_start_is_the_answer_where_the_time_was_over_at_once(monkeypatch, start, status):
    """Items of weight 3, 4, 2 and value 5, 6, 3 in a bag of 6: the first start fits, the second does not."""
    monkeypatch.setattr(
        "planning.solver.model.run_highs", lambda *a: Answer("no solution", None, -11.5, 0.1, 0.0)
    )
    model = Model("bag", maximise=True)
    take = model.variables("take", 3, 0, 1, integer=True)
    model.cost(take, [5.0, 6.0, 3.0])
    model.constant = 100.0
    model.rows([0, 0, 0], take, [3.0, 4.0, 2.0], upper=6.0)
    model.start(take, start)
    result = model.solve("highs", 1.0)
    assert result.status == status
    if status == "feasible":
        assert result.objective == 108 and result.values.tolist() == start and result.bound == 11.5
    else:
        assert result.objective is None and result.values is None


def test_values_of_a_solve_that_found_nothing_are_a_typed_error(monkeypatch):
    """As under a server's limit (OPENDIFF_MAX_SOLVER_SECONDS), which also ends solves that asked for none."""
    monkeypatch.setattr(
        "planning.solver.model.run_highs", lambda *a: Answer("no solution", None, None, 0.1, 0.0)
    )
    model = Model("prices")
    price = model.variables("price", 3)
    result = model.solve("highs", None)
    with pytest.raises(SolverError, match="no solution"):
        result.of(price)
    with pytest.raises(SolverError, match="no solution"):
        _ = result.reached


def test_the_number_of_threads_can_change_in_every_thread_that_solves():
    """HiGHS keeps a pool a calling thread: what one was made with says nothing of another's."""

    def solved(*numbers: int | None) -> set[str]:
        return {
            knapsack(np.array([2, 3, 4]), np.array([3, 4, 6]), 6)[0].solve("highs", threads=n).status
            for n in numbers
        }

    assert solved(1) == {"optimal"}
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(solved, None, 1, 2, None).result() == {"optimal"}
    assert solved(2, 1) == {"optimal"}


def test_highs_breaks_off_in_the_middle_of_a_call_when_asked_to():
    """Of a program that takes longer than its limit; the second time that HiGHS asks, the answer is yes."""
    asked = []

    def stop() -> bool:
        asked.append(True)
        return len(asked) > 1

    with stops_when(stop), pytest.raises(SolverError, match="stopped before its end"):
        market_split().solve("highs", time_limit=300, threads=1)
    assert len(asked) < 50
