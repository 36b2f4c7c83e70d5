"""The operations that the graph of a stranger's SavedModel may have. No TensorFlow is needed.

They compute from their inputs and from the variables of the model, and touch nothing else. Of
TensorFlow's 1,910 operations these are the ones of image models: what tfft exports, and what
published modules consist of. All others are refused: those that read and write files, open
connections, print, call Python or end the process, and also harmless ones that no such model has,
since each of them is native code that a stranger's numbers would reach.
"""

import contextlib
import os
from collections.abc import Collection, Iterator
from contextvars import ContextVar

# Numbers and truth values, each computed from those at the same place of the inputs.
_ELEMENTWISE = """
    Abs Acos Acosh AddN AddV2 Add Asin Asinh Atan Atan2 Atanh BitwiseAnd BitwiseOr BitwiseXor Cast
    Ceil ClipByValue Cos Cosh Digamma Div DivNoNan Equal Erf Erfc Erfinv Exp Expm1 Floor FloorDiv
    FloorMod Greater GreaterEqual Inv Invert IsFinite IsInf IsNan LeftShift Less LessEqual Lgamma
    Log Log1p LogicalAnd LogicalNot LogicalOr Maximum Minimum Mod Mul MulNoNan Ndtri Neg NotEqual
    Pow RealDiv Reciprocal RightShift Rint Round Rsqrt Select SelectV2 Sign Sin Sinh Sqrt Square
    SquaredDifference Sub Tan TruncateDiv TruncateMod Xdivy Xlog1py Xlogy
"""
_ACTIVATIONS = """
    Elu LeakyRelu LogSoftmax Relu Relu6 Selu Sigmoid Softmax Softplus Softsign Tanh
"""
# Shapes, and values that only change their places.
_ARRAYS = """
    BatchToSpaceND Bitcast BroadcastArgs BroadcastTo Concat ConcatOffset ConcatV2 Const Diag
    DiagPart DynamicPartition DynamicStitch EnsureShape ExpandDims Fill Gather GatherNd GatherV2
    Identity IdentityN InvertPermutation LinSpace ListDiff MatrixBandPart MatrixDiag MatrixDiagPart
    MatrixDiagPartV3 MatrixDiagV3 MatrixSetDiag MatrixSetDiagV3 MirrorPad NoOp OneHot OnesLike Pack
    Pad PadV2 ParallelDynamicStitch Placeholder PlaceholderWithDefault PreventGradient Range Rank
    Reshape Reverse ReverseSequence ReverseV2 Roll ScatterNd Shape ShapeN Size Slice Snapshot
    SpaceToBatchND Split SplitV Squeeze StopGradient StridedSlice TensorScatterAdd TensorScatterMax
    TensorScatterMin TensorScatterSub TensorScatterUpdate TensorStridedSliceUpdate Tile Transpose
    UniqueV2 Unpack UnravelIndex Where ZerosLike
"""
_REDUCTIONS = """
    All Any ArgMax ArgMin Bucketize Cumprod Cumsum CumulativeLogsumexp DenseBincount EuclideanNorm
    InTopKV2 L2Loss LowerBound Max Mean Min Prod SparseSoftmaxCrossEntropyWithLogits
    SoftmaxCrossEntropyWithLogits Sum TopK TopKV2 UnsortedSegmentMax UnsortedSegmentMin
    UnsortedSegmentProd UnsortedSegmentSum UpperBound
"""
_LINEAR = """
    AvgPool AvgPool3D BatchMatMul BatchMatMulV2 BatchMatMulV3 BiasAdd Conv2D Conv3D Cross
    DepthToSpace DepthwiseConv2dNative Dilation2D Einsum ExtractImagePatches FusedBatchNorm
    FusedBatchNormV2 FusedBatchNormV3 LRN MatMul MaxPool MaxPool3D MaxPoolV2 SpaceToDepth
"""
# Of convolutions as layers (transposed convolutions), and of functions that were differentiated
# before they were saved.
_GRADIENTS = """
    AvgPool3DGrad AvgPoolGrad BiasAddGrad BroadcastGradientArgs Conv2DBackpropFilter
    Conv2DBackpropInput Conv3DBackpropFilterV2 Conv3DBackpropInputV2
    DepthwiseConv2dNativeBackpropFilter DepthwiseConv2dNativeBackpropInput EluGrad
    FakeQuantWithMinMaxArgsGradient FakeQuantWithMinMaxVarsGradient
    FakeQuantWithMinMaxVarsPerChannelGradient FusedBatchNormGrad FusedBatchNormGradV2
    FusedBatchNormGradV3 InvGrad LRNGrad LeakyReluGrad MaxPool3DGrad MaxPoolGrad MirrorPadGrad
    ReciprocalGrad Relu6Grad ReluGrad ResizeBicubicGrad ResizeBilinearGrad ResizeNearestNeighborGrad
    RsqrtGrad ScaleAndTranslateGrad SeluGrad SigmoidGrad SoftplusGrad SoftsignGrad SqrtGrad
    StridedSliceGrad TanhGrad
"""
# Rounding as in training for quantization.
_QUANTIZATION = """
    FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel
"""
# Pixels, and the decoders of images, which read the bytes that they are given.
_IMAGES = """
    AdjustContrastv2 AdjustHue AdjustSaturation CropAndResize DecodeAndCropJpeg DecodeBmp DecodeGif
    DecodeImage DecodeJpeg DecodePng DecodeRaw ExtractJpegShape HSVToRGB ImageProjectiveTransformV3
    RGBToHSV ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor ScaleAndTranslate
"""
_STRINGS = """
    AsString StaticRegexFullMatch StaticRegexReplace StringJoin StringLength StringLower
    StringSplitV2 StringStrip StringToHashBucketFast StringToNumber StringUpper Substr
"""
# They draw from generators of this process, which they may change.
_RANDOM = """
    Multinomial RandomShuffle RandomStandardNormal RandomUniform RandomUniformInt RngReadAndSkip
    RngSkip StatefulStandardNormalV2 StatefulTruncatedNormal StatefulUniform StatefulUniformFullInt
    StatefulUniformInt StatelessMultinomial StatelessRandomBinomial StatelessRandomGetAlg
    StatelessRandomGetKeyCounter StatelessRandomGetKeyCounterAlg StatelessRandomNormal
    StatelessRandomNormalV2 StatelessRandomUniform StatelessRandomUniformFullInt
    StatelessRandomUniformFullIntV2 StatelessRandomUniformInt StatelessRandomUniformIntV2
    StatelessRandomUniformV2 StatelessShuffle StatelessTruncatedNormal StatelessTruncatedNormalV2
    TruncatedNormal
"""
# Calls of the graph's own functions, and conditions. Assert ends a call with a message.
_CONTROL_FLOW = """
    Assert Case CheckNumerics CheckNumericsV2 Enter Exit If LoopCond Merge NextIteration
    PartitionedCall StatefulPartitionedCall StatelessCase StatelessIf StatelessWhile Switch While
"""
_LISTS = """
    EmptyTensorList TensorArrayCloseV3 TensorArrayConcatV3 TensorArrayGatherV3 TensorArrayGradV3
    TensorArrayReadV3 TensorArrayScatterV3 TensorArraySizeV3 TensorArrayV3 TensorArrayWriteV3
    TensorListConcatV2 TensorListElementShape TensorListFromTensor TensorListGather
    TensorListGetItem TensorListLength TensorListPopBack TensorListPushBack TensorListReserve
    TensorListResize TensorListScatterIntoExistingList TensorListScatterV2 TensorListSetItem
    TensorListStack
"""
# The memory of the model itself.
_VARIABLES = """
    AssignAddVariableOp AssignSubVariableOp AssignVariableOp DestroyResourceOp DisableCopyOnRead
    ReadVariableOp ResourceGather ResourceGatherNd VarHandleOp VarIsInitializedOp VariableShape
"""
# Tables made of constants. Those made of files (InitializeTableFromTextFileV2) are refused.
_TABLES = """
    HashTableV2 LookupTableFindV2 LookupTableImportV2 LookupTableSizeV2
"""
# The one data set in tfft's exports: it gives a blank image where decoding fails.
_TOLERANT_DECODING = """
    ConcatenateDataset DatasetToSingleElement IgnoreErrorsDataset MapDataset TakeDataset
    TensorDataset
"""

ALLOWED_OPERATIONS = frozenset(
    " ".join(
        (
            *(_ELEMENTWISE, _ACTIVATIONS, _ARRAYS, _REDUCTIONS, _LINEAR, _GRADIENTS),
            *(_QUANTIZATION, _IMAGES, _STRINGS, _RANDOM, _CONTROL_FLOW, _LISTS),
            *(_VARIABLES, _TABLES, _TOLERANT_DECODING),
        )
    ).split()
)
# They write and read checkpoints, in functions that every SavedModel has for its variables.
CHECKPOINT_OPERATIONS = frozenset({"MergeV2Checkpoints", "RestoreV2", "SaveV2", "ShardedFilename"})

_VARIABLE = "TFFT_ALLOW_OPS"
_also_allowed: ContextVar[frozenset[str]] = ContextVar("also_allowed", default=frozenset())


@contextlib.contextmanager
def also_allowing(operations: Collection[str]) -> Iterator[None]:
    """Allows more operations within the block, for a user who knows what is loaded."""
    token = _also_allowed.set(_also_allowed.get() | frozenset(operations))
    try:
        yield
    finally:
        _also_allowed.reset(token)


def operations_of_user() -> frozenset[str]:
    """Returns the operations that `also_allowing` and the variable ``TFFT_ALLOW_OPS`` allow."""
    names = (name.strip() for name in os.environ.get(_VARIABLE, "").split(","))
    return _also_allowed.get() | {name for name in names if name}


def environment_of_user() -> dict[str, str]:
    """Returns the environment variable by which a process that is started allows the same."""
    allowed = operations_of_user()
    return {_VARIABLE: ",".join(sorted(allowed))} if allowed else {}
