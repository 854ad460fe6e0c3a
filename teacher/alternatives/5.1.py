# right: from_counts
# <answer 5.1>
if strategy == "inverse":
    weights = 1.0 / counts
elif strategy == "sqrt":
    weights = (total / counts) ** 0.5
else:
    weights = counts.median() / counts
# </answer 5.1>

# right: loops
# <answer 5.1>
import math

values = shares.tolist()
middle = sorted(values)[len(values) // 2]
weights = []
for share in values:
    if strategy == "inverse":
        weights.append(1 / share)
    elif strategy == "sqrt":
        weights.append(1 / math.sqrt(share))
    else:
        weights.append(middle / share)
weights = torch.tensor(weights, dtype=torch.float64)
# </answer 5.1>

# right: powers
# <answer 5.1>
power = {"inverse": -1.0, "sqrt": -0.5, "median": -1.0}[strategy]
weights = shares.pow(power)
if strategy == "median":
    weights = weights * shares.median()
# </answer 5.1>

# right: numpy
# <answer 5.1>
f = shares.numpy()
if strategy == "inverse":
    weights = torch.from_numpy(1 / f)
elif strategy == "sqrt":
    weights = torch.from_numpy(1 / np.sqrt(f))
else:
    weights = torch.from_numpy(np.median(f) / f)
# </answer 5.1>

# right: early_return
# <answer 5.1>
if strategy == "sqrt":
    return torch.rsqrt(shares)
weights = torch.reciprocal(shares)
if strategy == "median":
    weights *= torch.quantile(shares, 0.5)
# </answer 5.1>

# right: by_logarithms
# <answer 5.1>
log_shares = shares.log()
if strategy == "inverse":
    weights = torch.exp(-log_shares)
elif strategy == "sqrt":
    weights = torch.exp(-0.5 * log_shares)
else:
    weights = torch.exp(log_shares.median() - log_shares)
# </answer 5.1>
