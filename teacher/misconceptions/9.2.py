# wrong: no_reduction
# says: the sequence is not reduced
# <answer 9.2>
query, key, value = (self.split_heads(p(x)) for p in (self.q_proj, self.k_proj, self.v_proj))
joined = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(x.shape)
# </answer 9.2>

# wrong: queries_reduced_too
# says: queries from x
# <answer 9.2>
r = self.reduction(x)
query, key, value = (self.split_heads(p(r)) for p in (self.q_proj, self.k_proj, self.v_proj))
joined = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(x.shape)
# </answer 9.2>

# wrong: only_keys_reduced
# says: keys and values both come from the reduced x
# <answer 9.2>
query, key = self.split_heads(self.q_proj(x)), self.split_heads(self.k_proj(self.reduction(x)))
value = self.split_heads(self.v_proj(x))
joined = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(x.shape)
# </answer 9.2>

# wrong: scaled_by_all_channels
# says: the root of all C channels
# <answer 9.2>
reduced = self.reduction(x)
query = self.split_heads(self.q_proj(x))
key, value = self.split_heads(self.k_proj(reduced)), self.split_heads(self.v_proj(reduced))
scores = query @ key.transpose(-2, -1) / math.sqrt(x.shape[-1])
joined = (scores.softmax(dim=-1) @ value).transpose(1, 2).reshape(x.shape)
# </answer 9.2>

# wrong: scaled_without_root
# says: divided by d, or by its root twice
# <answer 9.2>
reduced = self.reduction(x)
query = self.split_heads(self.q_proj(x))
key, value = self.split_heads(self.k_proj(reduced)), self.split_heads(self.v_proj(reduced))
scores = query @ key.transpose(-2, -1) / query.shape[-1]
joined = (scores.softmax(dim=-1) @ value).transpose(1, 2).reshape(x.shape)
# </answer 9.2>

# wrong: not_scaled
# says: not divided by √d
# <answer 9.2>
reduced = self.reduction(x)
query = self.split_heads(self.q_proj(x))
key, value = self.split_heads(self.k_proj(reduced)), self.split_heads(self.v_proj(reduced))
joined = ((query @ key.mT).softmax(dim=-1) @ value).transpose(1, 2).reshape(x.shape)
# </answer 9.2>

# wrong: scaled_by_the_positions
# says: the root of the number of positions
# <answer 9.2>
reduced = self.reduction(x)
query = self.split_heads(self.q_proj(x))
key, value = self.split_heads(self.k_proj(reduced)), self.split_heads(self.v_proj(reduced))
scores = query @ key.mT / math.sqrt(key.shape[2])
joined = (scores.softmax(dim=-1) @ value).transpose(1, 2).reshape(x.shape)
# </answer 9.2>

# wrong: scaled_by_the_heads
# says: divided by √heads
# <answer 9.2>
reduced = self.reduction(x)
query = self.split_heads(self.q_proj(x))
key, value = self.split_heads(self.k_proj(reduced)), self.split_heads(self.v_proj(reduced))
scores = query @ key.mT / math.sqrt(query.shape[1])
joined = (scores.softmax(dim=-1) @ value).transpose(1, 2).reshape(x.shape)
# </answer 9.2>

# wrong: softmax_over_the_queries
# says: the softmax is over the queries
# <answer 9.2>
reduced = self.reduction(x)
query = self.split_heads(self.q_proj(x))
key, value = self.split_heads(self.k_proj(reduced)), self.split_heads(self.v_proj(reduced))
scores = query @ key.mT / math.sqrt(query.shape[-1])
joined = (scores.softmax(dim=2) @ value).transpose(1, 2).reshape(x.shape)
# </answer 9.2>

# wrong: softmax_over_the_heads
# says: the softmax is over the heads
# <answer 9.2>
reduced = self.reduction(x)
query = self.split_heads(self.q_proj(x))
key, value = self.split_heads(self.k_proj(reduced)), self.split_heads(self.v_proj(reduced))
scores = query @ key.mT / math.sqrt(query.shape[-1])
joined = (scores.softmax(dim=1) @ value).transpose(1, 2).reshape(x.shape)
# </answer 9.2>

# wrong: no_softmax
# says: there is no softmax
# <answer 9.2>
reduced = self.reduction(x)
query = self.split_heads(self.q_proj(x))
key, value = self.split_heads(self.k_proj(reduced)), self.split_heads(self.v_proj(reduced))
scores = query @ key.mT / math.sqrt(query.shape[-1])
joined = (scores @ value).transpose(1, 2).reshape(x.shape)
# </answer 9.2>

# wrong: exp_without_the_largest
# says: the largest score is subtracted first
# <answer 9.2>
reduced = self.reduction(x)
query = self.split_heads(self.q_proj(x))
key, value = self.split_heads(self.k_proj(reduced)), self.split_heads(self.v_proj(reduced))
weights = (query @ key.mT / math.sqrt(query.shape[-1])).exp()
weights = weights / weights.sum(dim=-1, keepdim=True)
joined = (weights @ value).transpose(1, 2).reshape(x.shape)
# </answer 9.2>

# wrong: joined_by_a_reshape
# says: transpose(1, 2) the result before it
# <answer 9.2>
reduced = self.reduction(x)
query = self.split_heads(self.q_proj(x))
key, value = self.split_heads(self.k_proj(reduced)), self.split_heads(self.v_proj(reduced))
joined = F.scaled_dot_product_attention(query, key, value).reshape(x.shape)
# </answer 9.2>

# wrong: split_by_a_reshape
# says: a reshape to (B, heads, N, d)
# <answer 9.2>
reduced, d = self.reduction(x), x.shape[-1] // self.heads
query = self.q_proj(x).reshape(len(x), self.heads, -1, d)
key = self.k_proj(reduced).reshape(len(x), self.heads, -1, d)
value = self.v_proj(reduced).reshape(len(x), self.heads, -1, d)
joined = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(x.shape)
# </answer 9.2>

# wrong: one_head
# says: one head for all channels
# <answer 9.2>
reduced = self.reduction(x)
query = self.q_proj(x).flatten(1, 2)
key, value = self.k_proj(reduced).flatten(1, 2), self.v_proj(reduced).flatten(1, 2)
joined = F.scaled_dot_product_attention(query, key, value).reshape(x.shape)
# </answer 9.2>

# wrong: keys_and_values_exchanged
# says: keys and values are exchanged
# <answer 9.2>
reduced = self.reduction(x)
query = self.split_heads(self.q_proj(x))
key, value = self.split_heads(self.v_proj(reduced)), self.split_heads(self.k_proj(reduced))
joined = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(x.shape)
# </answer 9.2>

# wrong: last_layer_twice
# says: o_proj is applied twice
# <answer 9.2>
reduced = self.reduction(x)
query = self.split_heads(self.q_proj(x))
key, value = self.split_heads(self.k_proj(reduced)), self.split_heads(self.v_proj(reduced))
attended = F.scaled_dot_product_attention(query, key, value)
joined = self.o_proj(attended.transpose(1, 2).reshape(x.shape))
# </answer 9.2>

# wrong: x_added
# says: the block around the attention does that
# <answer 9.2>
reduced = self.reduction(x)
query = self.split_heads(self.q_proj(x))
key, value = self.split_heads(self.k_proj(reduced)), self.split_heads(self.v_proj(reduced))
attended = F.scaled_dot_product_attention(query, key, value)
joined = x + attended.transpose(1, 2).reshape(x.shape)
# </answer 9.2>

# wrong: causal
# says: hidden from those before them
# <answer 9.2>
reduced = self.reduction(x)
query = self.split_heads(self.q_proj(x))
key, value = self.split_heads(self.k_proj(reduced)), self.split_heads(self.v_proj(reduced))
attended = F.scaled_dot_product_attention(query, key, value, is_causal=True)
joined = attended.transpose(1, 2).reshape(x.shape)
# </answer 9.2>

# wrong: weights_detached
# says: nothing is detached
# <answer 9.2>
reduced = self.reduction(x)
query = self.split_heads(self.q_proj(x))
key, value = self.split_heads(self.k_proj(reduced)), self.split_heads(self.v_proj(reduced))
weights = (query @ key.mT / math.sqrt(query.shape[-1])).softmax(-1).detach()
joined = (weights @ value).transpose(1, 2).reshape(x.shape)
# </answer 9.2>

# wrong: keys_by_the_query_layer
# says: the keys are made by q_proj
# <answer 9.2>
r = self.reduction(x)
query, key, value = (self.split_heads(y) for y in (self.q_proj(x), self.q_proj(r), self.v_proj(r)))
joined = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(x.shape)
# </answer 9.2>

# wrong: scaled_softmax
# says: the softmax is divided
# <answer 9.2>
reduced = self.reduction(x)
query = self.split_heads(self.q_proj(x))
key, value = self.split_heads(self.k_proj(reduced)), self.split_heads(self.v_proj(reduced))
weights = (query @ key.mT).softmax(dim=-1) / math.sqrt(query.shape[-1])
joined = (weights @ value).transpose(1, 2).reshape(x.shape)
# </answer 9.2>

# wrong: view_after_transpose
# says: view size is not compatible
# <answer 9.2>
reduced = self.reduction(x)
query = self.split_heads(self.q_proj(x))
key, value = self.split_heads(self.k_proj(reduced)), self.split_heads(self.v_proj(reduced))
attended = F.scaled_dot_product_attention(query, key, value)
joined = attended.transpose(1, 2).view(x.shape)
# </answer 9.2>

# wrong: linear_attention
# unlisted: softmax
# <answer 9.2>
reduced = self.reduction(x)
query = self.split_heads(self.q_proj(x))
key, value = self.split_heads(self.k_proj(reduced)), self.split_heads(self.v_proj(reduced))
context = key.softmax(dim=2).transpose(2, 3) @ value
attended = query.softmax(dim=3) @ context
joined = attended.transpose(1, 2).reshape(x.shape)
# </answer 9.2>

# wrong: width_before_height
# unlisted: rows and columns | height
# <answer 9.2>
reduced = self.reduction(x)
query = self.split_heads(self.q_proj(x))
key, value = self.split_heads(self.k_proj(reduced)), self.split_heads(self.v_proj(reduced))
batch, height, width, channels = x.shape
attended = F.scaled_dot_product_attention(query, key, value).transpose(1, 2)
joined = attended.reshape(batch, width, height, channels).transpose(1, 2)
# </answer 9.2>
