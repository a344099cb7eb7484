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
from nbgrad.nn.conv import Conv2d
from nbgrad.nn.dropout import Dropout, Dropout2d
from nbgrad.nn.embedding import Embedding, EmbeddingBag
from nbgrad.nn.flatten import Flatten, Unflatten
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
from nbgrad.nn.module import Module
from nbgrad.nn.pooling import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from nbgrad.nn.rnn import GRU, LSTM, RNN
from nbgrad.nn.transformer import (
    Transformer,
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)
