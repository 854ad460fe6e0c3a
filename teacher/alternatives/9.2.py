# right: as_the_formula
# <answer 9.2>
reduced = self.reduction(x)
query = self.split_heads(self.q_proj(x))
key, value = self.split_heads(self.k_proj(reduced)), self.split_heads(self.v_proj(reduced))
scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
attended = scores.softmax(dim=-1) @ value
joined = attended.transpose(1, 2).reshape(x.shape)
# </answer 9.2>

# right: scaled_before
# <answer 9.2>
reduced = self.reduction(x)
query = self.split_heads(self.q_proj(x)) * (x.shape[-1] // self.heads) ** -0.5
key, value = (self.split_heads(layer(reduced)) for layer in (self.k_proj, self.v_proj))
joined = (torch.softmax(query @ key.mT, -1) @ value).permute(0, 2, 1, 3).contiguous()
joined = joined.view(x.shape)
# </answer 9.2>

# right: einsum
# <answer 9.2>
batch, height, width, channels = x.shape
reduced = self.reduction(x).reshape(batch, -1, channels)
d = channels // self.heads
query = self.q_proj(x).reshape(batch, -1, self.heads, d)
key = self.k_proj(reduced).reshape(batch, -1, self.heads, d)
value = self.v_proj(reduced).reshape(batch, -1, self.heads, d)
weights = torch.einsum("bnhd,bmhd->bhnm", query, key).div(d**0.5).softmax(-1)
joined = torch.einsum("bhnm,bmhd->bnhd", weights, value).reshape(x.shape)
# </answer 9.2>

# right: head_by_head
# <answer 9.2>
reduced = self.reduction(x).flatten(1, 2)
d = x.shape[-1] // self.heads
queries = self.q_proj(x.flatten(1, 2)).split(d, dim=-1)
keys, values = self.k_proj(reduced).split(d, dim=-1), self.v_proj(reduced).split(d, dim=-1)
parts = []
for q, k, v in zip(queries, keys, values, strict=True):
    parts.append((q @ k.transpose(1, 2) / math.sqrt(d)).softmax(dim=2) @ v)
joined = torch.cat(parts, dim=-1).view(x.shape)
# </answer 9.2>

# right: running_sums
# <answer 9.2>
reduced = self.reduction(x)
query = self.split_heads(self.q_proj(x)) / math.sqrt(x.shape[-1] // self.heads)
key, value = self.split_heads(self.k_proj(reduced)), self.split_heads(self.v_proj(reduced))
scores = torch.einsum("bhnd,bhmd->bhnm", query, key)
weights = (scores - scores.logsumexp(dim=-1, keepdim=True)).exp()
joined = torch.einsum("bhnm,bhmd->bnhd", weights, value).flatten(2).unflatten(1, x.shape[1:3])
# </answer 9.2>

# right: queries_in_rows
# <answer 9.2>
reduced = self.reduction(x)
key, value = self.split_heads(self.k_proj(reduced)), self.split_heads(self.v_proj(reduced))
rows = []
for row in self.q_proj(x).split(1, dim=1):
    attended = F.scaled_dot_product_attention(self.split_heads(row), key, value)
    rows.append(attended.permute(0, 2, 1, 3).flatten(2).unsqueeze(1))
joined = torch.cat(rows, dim=1)
# </answer 9.2>
