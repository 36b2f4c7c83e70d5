"""Heads that know their classes before anything is trained, and what they reach so."""

from tfft.model.assemble import Cut
from tfft.model.warm_start import assign_source_rows, starts_from_source
from tfft.transfer.checkpoints import TrainingState
from tfft.transfer.phases.session import Training, columns, validate
from tfft.transfer.step.step import EvaluationStep

_OPTIMISTIC = (
    "optimistic: the backbone was trained on these classes, and perhaps on these very images"
)


def start_from_source_classes(training: Training, state: TrainingState) -> None:
    """Sets the heads that ask for the source's rows, and records what they reach untrained.

    It counts as epoch 0 of a phase 0, so that the run ends with these weights if no phase does
    better on the validation images.
    """
    heads = {n: h for n, h in training.classifier.heads.items() if starts_from_source(h)}
    if not heads:
        return
    for head in heads.values():
        assign_source_rows(head, training.recipe.backbone)
    cut = Cut(None, training.classifier.model)
    evaluation = EvaluationStep(cut, training.classifier.heads)
    validated = validate(training, training.stream("none"), evaluation)
    state.elapsed_seconds += training.stopwatch.lap()
    row = {"phase": 0, "epoch": 0, "step": 0, **columns("validation", validated)}
    state.history.append({**row, "elapsed_seconds": state.elapsed_seconds})
    training.history.write(state.history)
    training.checkpoints.save_best(state, -1, 0, validated)
    training.checkpoints.save(state)
    for name in heads:
        reached = f"top-1 {validated[name]['top1']:.3f}" if validated else "not measured"
        training.progress.message(f"head {name} untrained (zero-shot): {reached}; {_OPTIMISTIC}")
