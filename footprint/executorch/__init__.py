"""What programs of ExecuTorch need: operators, kernels with types and orders of dimensions, and backends.

``programs`` reads ``.pte`` files as they are; ``exporting`` estimates what a module would become. All but the
latter needs no torch.
"""
