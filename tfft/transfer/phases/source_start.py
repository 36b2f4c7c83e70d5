"""Phase 0: heads that start from the source's classifier, measured before any training."""

from tfft.data.dataset import shown
from tfft.model.assemble import Cut
from tfft.model.heads import assign_source_rows
from tfft.runs.history import columns
from tfft.transfer.checkpoints import TrainingState
from tfft.transfer.phases.session import Session, validate
from tfft.transfer.step.step import EvaluationStep

_OPTIMISTIC = (
    "optimistic: the backbone was trained on these classes, and perhaps on these very images"
)


def start_from_source_classes(session: Session, state: TrainingState) -> None:
    """Sets the heads that start from the source's rows, and records their metrics untrained.

    It counts as epoch 0 of a phase 0, so that the run ends with these weights if no phase does
    better on the validation images.
    """
    heads = set_source_heads(session)
    if not heads:
        return
    cut = Cut(None, session.classifier.model)
    evaluation = EvaluationStep(cut, session.classifier.heads)
    validated = validate(session, session.stream("none"), evaluation)
    state.elapsed_seconds += session.stopwatch.lap()
    row = {"phase": 0, "epoch": 0, "step": 0, **columns("validation", validated)}
    state.history.append({**row, "elapsed_seconds": state.elapsed_seconds})
    session.history.write(state.history)
    session.checkpoints.save_best(state, -1, 0, validated)
    session.checkpoints.save(state)
    for name, new in heads.items():
        reached = f"top-1 {validated[name]['top1']:.3f}" if validated else "not measured"
        of_run = session.classifier.heads[name].config.init == "run"
        start = "as in the run" if of_run else "untrained (zero-shot)"
        added = f", with new classes: {', '.join(shown(new))}" if new else ""
        session.progress.message(f"head {name} {start}{added}: {reached}; {_OPTIMISTIC}")


def set_source_heads(session: Session) -> dict[str, tuple[str, ...]]:
    """Sets the heads that start from the source's rows.

    Returns:
        By head, the classes that the source does not know.
    """
    heads = {n: h for n, h in session.classifier.heads.items() if h.starts_from_source}
    backbone = session.recipe.backbone
    return {name: assign_source_rows(head, backbone) for name, head in heads.items()}
