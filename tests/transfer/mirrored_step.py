"""Takes three steps on two replicas and saves the weights; run by test_step in its own process."""

import sys

from tfft.system.tensorflow import tf

import numpy as np
from small_classifier import small_batch, small_classifier

from tfft.config.train import AdamOptimizer
from tfft.transfer.step.optimizers import build_optimizer
from tfft.transfer.step.step import TrainStep, read_sums

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    classifier = small_classifier()
    for block in (0, 1):
        classifier.batch_norms(block)[0].trainable = False
    optimizer = build_optimizer(AdamOptimizer(name="adam"), classifier.weights)
    trained = [*classifier.block_weights[1], *classifier.head_weights]
    step = TrainStep(classifier.cut(1), classifier.heads, optimizer, trained)
for seed in range(3):
    batch = tf.data.Dataset.from_tensors(small_batch(seed=seed)).unbatch().batch(12)
    for part in strategy.experimental_distribute_dataset(batch):
        sums = step.on_batch(part, tf.constant(1e-3))
        if read_sums(sums.numpy(), ["label"])["label"].examples != 12:
            sys.exit("the replicas did not see all examples")
np.savez(sys.argv[1], **{str(i): v.numpy() for i, v in enumerate(classifier.weights)})
