"""What a phase trains: leading blocks, all, or names."""

import pytest
from small_classifier import small_classifier

from tfft.config.train import GradientPhase, L2Sp, LastBlocks, Patterns
from tfft.transfer.plan.unfreeze import unfrozen, unmatched
from tfft.transfer.step.update_rules import update_rules


def _names(part) -> list[list[str]]:
    return [[variable.path for variable in block] for block in part.weights]


_ABOVE = [
    *("above_conv/kernel", "above_conv/bias"),
    *("above_norm/gamma", "above_norm/beta"),
]


@pytest.mark.parametrize(
    ("unfreeze", "frozen_blocks", "trained"),
    [
        ("none", 2, [[], []]),
        (LastBlocks(last_blocks=1), 1, [[], _ABOVE]),
        (Patterns(patterns=("above",)), 1, [[], _ABOVE]),
        (Patterns(patterns=("above_conv",)), 1, [[], _ABOVE[:2]]),
        (
            Patterns(patterns=("*_norm",)),
            0,
            [["below_norm/gamma", "below_norm/beta"], _ABOVE[2:]],
        ),
        (Patterns(patterns=("above_conv", "a?ove_norm")), 1, [[], _ABOVE]),
    ],
)
def test_unfreeze_chooses_variables_and_the_cut(unfreeze, frozen_blocks, trained):
    part = unfrozen(small_classifier(), unfreeze)
    assert part.frozen_blocks == frozen_blocks
    assert _names(part) == trained


def test_all_is_every_variable_that_gradients_can_train():
    classifier = small_classifier()
    part = unfrozen(classifier, "all")
    assert part.frozen_blocks == 0
    assert part.weights == classifier.block_weights


def test_batch_norms_are_those_of_trained_layers():
    classifier = small_classifier()
    part = unfrozen(classifier, Patterns(patterns=("above_norm", "below_conv")))
    assert [[layer.name for layer in block] for block in part.batch_norms] == [[], ["above_norm"]]


def test_patterns_that_match_nothing_are_named_with_what_is_near():
    found = unmatched(small_classifier(), ("above_*", "abov_conv", "above_out", "x*"))
    assert found == {
        "abov_conv": " Did you mean 'above_conv'?",
        "above_out": " Did you mean 'above_norm'?",  # it has no weights
        "x*": "",
    }


def test_rules_scale_by_depth_and_spare_vectors_from_decay():
    phase = GradientPhase(
        unfreeze="all",
        epochs=1,
        learning_rate=1.0,
        layer_decay=0.5,
        head_learning_rate_factor=3.0,
        weight_decay=0.1,
        l2sp=L2Sp(alpha=0.2, beta=0.05),
    )
    classifier = small_classifier()
    rules = update_rules(classifier, phase, unfrozen(classifier, "all"))
    assert [variable for variable, _ in rules] == list(classifier.weights)
    found = {
        variable.path: (rule.factor, rule.weight_decay, rule.pull, rule.to_start)
        for variable, rule in rules
    }
    assert found["below_conv/kernel"] == (0.25, 0.1, 0.2, True)
    assert found["below_norm/gamma"] == (0.25, 0.0, 0.2, True)
    assert found["above_conv/kernel"] == (0.5, 0.1, 0.2, True)
    assert found["label_logits/kernel"] == (3.0, 0.1, 0.05, False)
    assert found["label_logits/bias"] == (3.0, 0.0, 0.05, False)
