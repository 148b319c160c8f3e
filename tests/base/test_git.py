from plantain.base.git import git_state


def test_what_is_run_makes_a_checkout_dirty_and_results_do_not(checkout, git):
    assert git_state(checkout).commit is None
    (checkout / "prompts").mkdir()
    (checkout / "prompts/a.yaml").write_text("probe: a\n")
    (checkout / "dvc.lock").write_text("one\n")
    git("add", ".")
    git("commit", "--quiet", "--message", "start")
    clean = git_state(checkout)
    assert (clean.commit, clean.dirty, clean.diff_sha256) == (git("rev-parse", "HEAD"), False, None)
    (checkout / "dvc.lock").write_text("two\n")
    assert not git_state(checkout).dirty
    (checkout / "prompts/a.yaml").write_text("probe: b\n")
    edited = git_state(checkout)
    assert edited.dirty
    (checkout / "prompts/b.yaml").write_text("probe: c\n")
    assert git_state(checkout).diff_sha256 not in (None, edited.diff_sha256), "untracked prompts count"


def test_an_experiment_is_measured_against_its_baseline(checkout, git, monkeypatch):
    (checkout / "params.yaml").write_text("a: 1\n")
    git("add", ".")
    git("commit", "--quiet", "--message", "baseline")
    baseline = git("rev-parse", "HEAD")
    (checkout / "params.yaml").write_text("a: 2\n")
    git("commit", "--quiet", "--all", "--message", "of the experiment, lost later")
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", baseline)
    state = git_state(checkout)
    assert (state.commit, state.dirty) == (baseline, True)
