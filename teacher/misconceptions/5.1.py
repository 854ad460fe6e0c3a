# wrong: inverse_is_the_share
# says: upside down; inverse is 1 / f_k
# <answer 5.1>
if strategy == "inverse":
    weights = shares
elif strategy == "sqrt":
    weights = 1 / shares.sqrt()
else:
    weights = shares.quantile(0.5) / shares
# </answer 5.1>

# wrong: inverse_is_one_minus
# says: these are 1 - f_k; inverse is
# <answer 5.1>
if strategy == "inverse":
    weights = 1 - shares
elif strategy == "sqrt":
    weights = 1 / shares.sqrt()
else:
    weights = shares.quantile(0.5) / shares
# </answer 5.1>

# wrong: inverse_is_minus_log
# says: these are -log f_k; inverse is
# <answer 5.1>
if strategy == "inverse":
    weights = -shares.log()
elif strategy == "sqrt":
    weights = 1 / shares.sqrt()
else:
    weights = shares.quantile(0.5) / shares
# </answer 5.1>

# wrong: inverse_with_root
# says: these are 1 / √f_k; inverse is 1 / f_k
# <answer 5.1>
if strategy == "inverse":
    weights = shares**-0.5
elif strategy == "sqrt":
    weights = 1 / shares.sqrt()
else:
    weights = shares.quantile(0.5) / shares
# </answer 5.1>

# wrong: inverse_capped
# says: no weight is cut off
# <answer 5.1>
if strategy == "inverse":
    weights = (1 / shares).clamp(max=20)
elif strategy == "sqrt":
    weights = 1 / shares.sqrt()
else:
    weights = shares.quantile(0.5) / shares
# </answer 5.1>

# wrong: inverse_smoothed
# says: nothing is added to the shares
# <answer 5.1>
if strategy == "inverse":
    weights = 1 / (shares + 0.02)
elif strategy == "sqrt":
    weights = 1 / shares.sqrt()
else:
    weights = shares.quantile(0.5) / shares
# </answer 5.1>

# wrong: inverse_of_counts_plus_one
# says: nothing is added to the shares
# <answer 5.1>
if strategy == "inverse":
    weights = 1 / (counts + 1)
elif strategy == "sqrt":
    weights = 1 / shares.sqrt()
else:
    weights = shares.quantile(0.5) / shares
# </answer 5.1>

# wrong: inverse_with_epsilon
# says: nothing is added to the shares
# <answer 5.1>
if strategy == "inverse":
    weights = 1 / (shares + 1e-6)
elif strategy == "sqrt":
    weights = 1 / shares.sqrt()
else:
    weights = shares.quantile(0.5) / shares
# </answer 5.1>

# wrong: inverse_of_enet
# says: another paper's
# <answer 5.1>
if strategy == "inverse":
    weights = 1 / torch.log(1.02 + shares)
elif strategy == "sqrt":
    weights = 1 / shares.sqrt()
else:
    weights = shares.quantile(0.5) / shares
# </answer 5.1>

# wrong: inverse_as_softmax
# says: a softmax of -f_k
# <answer 5.1>
if strategy == "inverse":
    weights = torch.softmax(-shares, dim=0)
elif strategy == "sqrt":
    weights = 1 / shares.sqrt()
else:
    weights = shares.quantile(0.5) / shares
# </answer 5.1>

# wrong: inverse_squared
# says: a square for a root; inverse is
# <answer 5.1>
if strategy == "inverse":
    weights = 1 / shares**2
elif strategy == "sqrt":
    weights = 1 / shares.sqrt()
else:
    weights = shares.quantile(0.5) / shares
# </answer 5.1>

# wrong: inverse_as_a_number
# says: all the same: the share f_k
# <answer 5.1>
if strategy == "inverse":
    weights = 1 / shares.mean()
elif strategy == "sqrt":
    weights = 1 / shares.sqrt()
else:
    weights = shares.quantile(0.5) / shares
# </answer 5.1>

# wrong: root_without_inverse
# says: the root without 1 /
# <answer 5.1>
if strategy == "inverse":
    weights = 1 / shares
elif strategy == "sqrt":
    weights = shares.sqrt()
else:
    weights = shares.quantile(0.5) / shares
# </answer 5.1>

# wrong: root_is_a_square
# says: a square for a root; sqrt is
# <answer 5.1>
if strategy == "inverse":
    weights = 1 / shares
elif strategy == "sqrt":
    weights = 1 / shares**2
else:
    weights = shares.quantile(0.5) / shares
# </answer 5.1>

# wrong: root_forgotten
# says: these are 1 / f_k; sqrt is 1 / √f_k
# <answer 5.1>
if strategy == "inverse":
    weights = 1 / shares
elif strategy == "sqrt":
    weights = 1 / shares
else:
    weights = shares.quantile(0.5) / shares
# </answer 5.1>

# wrong: root_of_one_minus
# says: these are √(1 - f_k)
# <answer 5.1>
if strategy == "inverse":
    weights = 1 / shares
elif strategy == "sqrt":
    weights = (1 - shares).sqrt()
else:
    weights = shares.quantile(0.5) / shares
# </answer 5.1>

# wrong: root_with_epsilon
# says: expected:
# <answer 5.1>
if strategy == "inverse":
    weights = 1 / shares
elif strategy == "sqrt":
    weights = 1 / (shares.sqrt() + 0.01)
else:
    weights = shares.quantile(0.5) / shares
# </answer 5.1>

# wrong: root_of_the_logarithm
# says: sqrt is 1 / √f_k
# <answer 5.1>
if strategy == "inverse":
    weights = 1 / shares
elif strategy == "sqrt":
    weights = (1 / shares).log().sqrt()
else:
    weights = shares.quantile(0.5) / shares
# </answer 5.1>

# wrong: inverse_and_root_swapped
# says: these are 1 / √f_k
# <answer 5.1>
if strategy == "inverse":
    weights = 1 / shares.sqrt()
elif strategy == "sqrt":
    weights = 1 / shares
else:
    weights = shares.quantile(0.5) / shares
# </answer 5.1>

# wrong: median_upside_down
# says: upside down; median is
# <answer 5.1>
if strategy == "inverse":
    weights = 1 / shares
elif strategy == "sqrt":
    weights = 1 / shares.sqrt()
else:
    weights = shares / shares.median()
# </answer 5.1>

# wrong: median_of_the_shares_alone
# says: all the same
# <answer 5.1>
if strategy == "inverse":
    weights = 1 / shares
elif strategy == "sqrt":
    weights = 1 / shares.sqrt()
else:
    weights = shares.median()
# </answer 5.1>

# wrong: median_with_a_root
# says: these are 1 / √f_k; median is
# <answer 5.1>
if strategy == "inverse":
    weights = 1 / shares
elif strategy == "sqrt":
    weights = 1 / shares.sqrt()
else:
    weights = (shares.median() / shares).sqrt()
# </answer 5.1>

# wrong: median_as_a_difference
# says: these are |median(f) - f_k|
# <answer 5.1>
if strategy == "inverse":
    weights = 1 / shares
elif strategy == "sqrt":
    weights = 1 / shares.sqrt()
else:
    weights = (shares - shares.quantile(0.5)).abs()
# </answer 5.1>

# wrong: median_at_most_one
# says: these are capped at 1
# <answer 5.1>
if strategy == "inverse":
    weights = 1 / shares
elif strategy == "sqrt":
    weights = 1 / shares.sqrt()
else:
    weights = (shares.quantile(0.5) / shares).clamp(max=1)
# </answer 5.1>

# wrong: median_replaces_small_shares
# says: no weight is cut off
# <answer 5.1>
if strategy == "inverse":
    weights = 1 / shares
elif strategy == "sqrt":
    weights = 1 / shares.sqrt()
else:
    weights = 1 / torch.maximum(shares, shares.median())
# </answer 5.1>

# wrong: equal_weights
# says: all the same
# <answer 5.1>
weights = torch.ones_like(shares)
# </answer 5.1>

# wrong: median_in_sorted_order
# unlisted: order | sorted
# <answer 5.1>
if strategy == "inverse":
    weights = 1 / shares
elif strategy == "sqrt":
    weights = 1 / shares.sqrt()
else:
    ordered = shares.sort().values
    weights = ordered[len(ordered) // 2] / ordered
# </answer 5.1>

# wrong: inverse_rounded
# unlisted: rounded
# <answer 5.1>
if strategy == "inverse":
    weights = (1 / shares).round(decimals=0)
elif strategy == "sqrt":
    weights = 1 / shares.sqrt()
else:
    weights = shares.median() / shares
# </answer 5.1>
