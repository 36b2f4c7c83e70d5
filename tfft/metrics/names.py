"""What the figures are called where a person reads them."""

# Figures of all kinds of heads, in the order in which they are shown.
FIGURE_NAMES = {
    "top1": "top-1",
    "top5": "top-5",
    "mean_class_accuracy": "mean per-class accuracy",
    "ece": "expected calibration error",
    "mean_iou": "mean IoU",
    "iou_0.5": "share with IoU ≥ 0.5",
    "iou_0.75": "share with IoU ≥ 0.75",
    "f1": "F1 of an image",
    "macro_f1": "F1 of a label",
    "map": "mean average precision",
    "exact": "all labels right",
    "mae": "mean absolute error",
    "rmse": "root mean square error",
    "r2": "R²",
    "loss": "loss",
}
