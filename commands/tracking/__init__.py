"""`main.py track`: runs replayed into a local store of MLflow, Trackio or Weights & Biases.

Once and not twice: each store keeps a record of what it was given. No network, no login, no torch.
"""
