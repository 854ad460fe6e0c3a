"""`main.py track`: a run's folder replayed into a local store of MLflow, Weights & Biases or Trackio.

Once and not twice: each store keeps a record of what it was given. No network, no login, no torch.
"""
