"""Layers and models."""

from nbgrad.autograd import Parameter
from nbgrad.nn import functional, init, utils
from nbgrad.nn.activations import (
    ELU,
    GELU,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from nbgrad.nn.attention import MultiheadAttention
from nbgrad.nn.batch_norm import BatchNorm1d, BatchNorm2d
from nbgrad.nn.containers import ModuleDict, ModuleList, ParameterList, Sequential
from nbgrad.nn.conv import Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d
from nbgrad.nn.dropout import Dropout, Dropout2d
from nbgrad.nn.embedding import Embedding, EmbeddingBag
from nbgrad.nn.flatten import Flatten, Unflatten
from nbgrad.nn.hard_activations import (
    Hardshrink,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    ReLU6,
    Softshrink,
    Threshold,
)
from nbgrad.nn.layer_norm import GroupNorm, LayerNorm, RMSNorm
from nbgrad.nn.linear import Identity, Linear
from nbgrad.nn.loss import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HuberLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from nbgrad.nn.margin_loss import (
    CosineEmbeddingLoss,
    CosineSimilarity,
    GaussianNLLLoss,
    HingeEmbeddingLoss,
    KLDivLoss,
    MarginRankingLoss,
    MultiLabelSoftMarginLoss,
    MultiMarginLoss,
    PairwiseDistance,
    PoissonNLLLoss,
    SoftMarginLoss,
    TripletMarginLoss,
    TripletMarginWithDistanceLoss,
)
from nbgrad.nn.module import Module
from nbgrad.nn.pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AvgPool1d,
    AvgPool2d,
    MaxPool1d,
    MaxPool2d,
)
from nbgrad.nn.resize import (
    ConstantPad1d,
    ConstantPad2d,
    Fold,
    ReflectionPad1d,
    ReflectionPad2d,
    ReplicationPad1d,
    ReplicationPad2d,
    Unfold,
    Upsample,
    ZeroPad1d,
    ZeroPad2d,
)
from nbgrad.nn.rnn import GRU, LSTM, RNN
from nbgrad.nn.rnn_cell import GRUCell, LSTMCell, RNNCell
from nbgrad.nn.soft_activations import (
    CELU,
    GLU,
    SELU,
    LogSigmoid,
    Mish,
    PReLU,
    RReLU,
    Softmax2d,
    Softmin,
    Softsign,
    Tanhshrink,
)
from nbgrad.nn.transformer import (
    Transformer,
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)
