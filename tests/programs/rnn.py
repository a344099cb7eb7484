"""A language model of which the embedding and the decoder live on a parameter server.

    trainer (rank 0)                                  ps (rank 1)
    rpc.remote(...)                               ->  EmbeddingTable, Decoder
    embedding, LSTM here, decoder                 <-> two remote calls per forward pass
    dist_autograd.backward, DistributedOptimizer  ->  gradients and updates on both

The text repeats a fixed sequence of tokens, which the LSTM learns to continue.
"""

import argparse
import os

import nbgrad as torch
import nbgrad.distributed.autograd as dist_autograd
import nbgrad.distributed.rpc as rpc
import nbgrad.multiprocessing as mp
import nbgrad.nn as nn
import nbgrad.optim as optim
from nbgrad.distributed.optim import DistributedOptimizer
from nbgrad.distributed.rpc import RRef

parser = argparse.ArgumentParser(description="RNN with a remote embedding and decoder")
parser.add_argument("--epochs", type=int, default=12)
parser.add_argument("--layers", type=int, default=2)
args = parser.parse_args()

TOKENS, FEATURES, HIDDEN, BATCH, LENGTH = 20, 16, 24, 4, 10


def call_method(method, rref, *args, **kwargs):
    return method(rref.local_value(), *args, **kwargs)


def remote_method(method, rref, *args, **kwargs):
    return rpc.rpc_sync(rref.owner(), call_method, args=[method, rref, *args], kwargs=kwargs)


def parameter_rrefs(module):
    return [RRef(param) for param in module.parameters()]


class EmbeddingTable(nn.Module):
    def __init__(self, n_tokens, n_features, dropout):
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(n_tokens, n_features)
        if torch.cuda.is_available():
            self.encoder = self.encoder.cuda()
        nn.init.uniform_(self.encoder.weight, -0.5, 0.5)

    def forward(self, input):
        return self.drop(self.encoder(input)).cpu()


class Decoder(nn.Module):
    def __init__(self, n_tokens, n_hidden, dropout):
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.decoder = nn.Linear(n_hidden, n_tokens)
        nn.init.zeros_(self.decoder.bias)
        nn.init.uniform_(self.decoder.weight, -0.5, 0.5)

    def forward(self, output):
        return self.decoder(self.drop(output))


class RNNModel(nn.Module):
    def __init__(self, ps, n_tokens, n_features, n_hidden, n_layers, dropout=0.0):
        super().__init__()
        self.emb_table_rref = rpc.remote(ps, EmbeddingTable, args=(n_tokens, n_features, dropout))
        self.rnn = nn.LSTM(n_features, n_hidden, n_layers, dropout=dropout)
        self.decoder_rref = rpc.remote(ps, Decoder, args=(n_tokens, n_hidden, dropout))

    def forward(self, input, hidden):
        emb = remote_method(EmbeddingTable.forward, self.emb_table_rref, input)
        output, hidden = self.rnn(emb, hidden)
        decoded = remote_method(Decoder.forward, self.decoder_rref, output)
        return decoded, hidden

    def parameter_rrefs(self):
        remote_params = []
        remote_params.extend(remote_method(parameter_rrefs, self.emb_table_rref))
        remote_params.extend(parameter_rrefs(self.rnn))
        remote_params.extend(remote_method(parameter_rrefs, self.decoder_rref))
        return remote_params


def get_next_batch(start):
    steps = torch.arange(LENGTH + 1).unsqueeze(1) + 3 * torch.arange(BATCH) + start
    text = (steps * steps) % TOKENS
    return text[:-1], text[1:]


def run_trainer():
    torch.manual_seed(1)
    model = RNNModel("ps", TOKENS, FEATURES, HIDDEN, args.layers)
    opt = DistributedOptimizer(optim.SGD, model.parameter_rrefs(), lr=0.5)
    criterion = nn.CrossEntropyLoss()
    hidden = (
        torch.zeros(args.layers, BATCH, HIDDEN),
        torch.zeros(args.layers, BATCH, HIDDEN),
    )
    losses = []
    for epoch in range(args.epochs):
        total = 0.0
        for start in range(0, 50, LENGTH):
            data, target = get_next_batch(start)
            with dist_autograd.context() as context_id:
                hidden[0].detach_()
                hidden[1].detach_()
                output, hidden = model(data, hidden)
                loss = criterion(output.view(-1, TOKENS), target.reshape(-1))
                dist_autograd.backward(context_id, [loss])
                opt.step(context_id)
                total += loss.item()
        losses.append(total / 5)
        print(f"Training epoch {epoch}: loss {losses[-1]:.4f}")
    print(f"loss {losses[0]:.3f} to {losses[-1]:.3f}")


def run_worker(rank, world_size):
    os.environ.setdefault("MASTER_ADDR", "localhost")
    os.environ.setdefault("MASTER_PORT", "29502")
    options = rpc.TensorPipeRpcBackendOptions(num_worker_threads=8, rpc_timeout=60)
    if rank == 0:
        rpc.init_rpc("trainer", rank=rank, world_size=world_size, rpc_backend_options=options)
        run_trainer()
    else:
        rpc.init_rpc("ps", rank=rank, world_size=world_size, rpc_backend_options=options)
    rpc.shutdown()


if __name__ == "__main__":
    world_size = 2
    mp.spawn(run_worker, args=(world_size,), nprocs=world_size, join=True)
