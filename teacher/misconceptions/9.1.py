# wrong: rates_ignored
# says: the rates are ignored
# <answer 9.1a>
branches = [conv_norm_relu(cin, cout, kernel=1)]
for _ in rates:
    branches.append(conv_norm_relu(cin, cout, separable=separable))
self.convs = nn.ModuleList([*branches, ImagePooling(cin, cout)])
# </answer 9.1a>

# wrong: padding_left_at_one
# says: padding = r
# <answer 9.1a>
def branch(rate: int) -> nn.Sequential:
    convolution = nn.Conv2d(cin, cout, 3, padding=1, dilation=rate, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(cout), nn.ReLU())


branches = [conv_norm_relu(cin, cout, 1), *map(branch, rates), ImagePooling(cin, cout)]
self.convs = nn.ModuleList(branches)
# </answer 9.1a>

# wrong: rate_as_kernel_size
# says: a rate is taken for the kernel's size
# <answer 9.1a>
wide = [conv_norm_relu(cin, cout, 2 * rate + 1, separable=separable) for rate in rates]
self.convs = nn.ModuleList([conv_norm_relu(cin, cout, 1), *wide, ImagePooling(cin, cout)])
# </answer 9.1a>

# wrong: paper_rates_always
# says: the rates are other ones
# <answer 9.1a>
atrous = [conv_norm_relu(cin, cout, rate=rate, separable=separable) for rate in (12, 24, 36)]
self.convs = nn.ModuleList([conv_norm_relu(cin, cout, 1), *atrous, ImagePooling(cin, cout)])
# </answer 9.1a>

# wrong: first_rate_for_all
# says: all 3x3 branches have the rate 2
# <answer 9.1a>
atrous = [conv_norm_relu(cin, cout, rate=rates[0], separable=separable) for _ in rates]
self.convs = nn.ModuleList([conv_norm_relu(cin, cout, 1), *atrous, ImagePooling(cin, cout)])
# </answer 9.1a>

# wrong: three_rates_always
# says: however many there are
# <answer 9.1a>
self.convs = nn.ModuleList([conv_norm_relu(cin, cout, 1), ImagePooling(cin, cout)])
for rate in list(rates)[:3]:
    self.convs.append(conv_norm_relu(cin, cout, rate=rate, separable=separable))
# </answer 9.1a>

# wrong: no_image_pooling
# says: one that sees the image as a whole
# <answer 9.1a>
atrous = [conv_norm_relu(cin, cout, rate=rate, separable=separable) for rate in rates]
self.convs = nn.ModuleList([conv_norm_relu(cin, cout, 1), *atrous])
# </answer 9.1a>

# wrong: mean_of_the_neighbours
# says: no branch sees the image as a whole
# <answer 9.1a>
near = nn.Sequential(nn.AvgPool2d(3, 1, 1), *conv_norm_relu(cin, cout, 1))
atrous = [conv_norm_relu(cin, cout, rate=rate, separable=separable) for rate in rates]
self.convs = nn.ModuleList([conv_norm_relu(cin, cout, 1), *atrous, near])
# </answer 9.1a>

# wrong: no_1x1
# says: one of 1x1
# <answer 9.1a>
atrous = [conv_norm_relu(cin, cout, rate=rate, separable=separable) for rate in rates]
self.convs = nn.ModuleList([*atrous, ImagePooling(cin, cout)])
# </answer 9.1a>

# wrong: separable_forgotten
# says: `separable` is not passed on
# <answer 9.1a>
atrous = [conv_norm_relu(cin, cout, rate=rate) for rate in rates]
self.convs = nn.ModuleList([conv_norm_relu(cin, cout, 1), *atrous, ImagePooling(cin, cout)])
# </answer 9.1a>

# wrong: plain_list
# says: nn.ModuleList
# <answer 9.1a>
atrous = [conv_norm_relu(cin, cout, rate=rate, separable=separable) for rate in rates]
self.convs = [conv_norm_relu(cin, cout, 1), *atrous, ImagePooling(cin, cout)]
# </answer 9.1a>

# wrong: shared_convolution
# says: the branches share one convolution
# <answer 9.1a>
shared = conv_norm_relu(cin, cout, rate=rates[0], separable=separable)
branches = [conv_norm_relu(cin, cout, 1), *([shared] * len(rates)), ImagePooling(cin, cout)]
self.convs = nn.ModuleList(branches)
# </answer 9.1a>

# wrong: convolution_alone
# says: no batch normalisation
# <answer 9.1a>
atrous = [
    nn.Sequential(convolution(cin, cout, rate=rate, separable=separable), nn.ReLU())
    for rate in rates
]
self.convs = nn.ModuleList([conv_norm_relu(cin, cout, 1), *atrous, ImagePooling(cin, cout)])
# </answer 9.1a>

# wrong: no_relu
# says: no ReLU
# <answer 9.1a>
atrous = [
    nn.Sequential(convolution(cin, cout, rate=r, separable=separable), nn.BatchNorm2d(cout))
    for r in rates
]
self.convs = nn.ModuleList([conv_norm_relu(cin, cout, 1), *atrous, ImagePooling(cin, cout)])
# </answer 9.1a>

# wrong: one_after_the_other
# says: each of them sees x
# <answer 9.1b>
found = []
for branch in self.convs:
    x = branch(x)
    found.append(x)
seen = torch.cat(found, dim=1)
# </answer 9.1b>

# wrong: added_up
# says: added up
# <answer 9.1b>
seen = sum(branch(x) for branch in self.convs)
# </answer 9.1b>

# wrong: along_the_batch
# says: joins along the batch
# <answer 9.1b>
seen = torch.cat([branch(x) for branch in self.convs])
# </answer 9.1b>

# wrong: last_branch_forgotten
# says: branches for 5
# <answer 9.1b>
seen = torch.cat([branch(x) for branch in self.convs[:-1]], dim=1)
# </answer 9.1b>

# wrong: pooled_not_spread
# says: must be spread over
# <answer 9.1c>
spread = vector
# </answer 9.1c>

# wrong: pooled_in_the_corner
# says: at every pixel
# <answer 9.1c>
spread = F.pad(vector, (0, width - 1, 0, height - 1))
# </answer 9.1c>

# wrong: width_before_height
# says: must be spread over
# <answer 9.1c>
spread = vector.expand(-1, -1, width, height)
# </answer 9.1c>

# wrong: mean_over_the_batch
# says: each has its own
# <answer 9.1c>
spread = vector.mean(dim=0, keepdim=True).expand(len(x), -1, height, width)
# </answer 9.1c>

# wrong: shared_out
# says: nor a share of it
# <answer 9.1c>
spread = vector.expand(-1, -1, height, width) / (height * width)
# </answer 9.1c>

# wrong: separable_1x1
# says: for the 3x3 branches alone
# <answer 9.1a>
kinds = [dict(kernel=1), *(dict(rate=rate) for rate in rates)]
branches = [conv_norm_relu(cin, cout, separable=separable, **kind) for kind in kinds]
self.convs = nn.ModuleList([*branches, ImagePooling(cin, cout)])
# </answer 9.1a>

# wrong: spread_detached
# says: is cut off
# <answer 9.1c>
spread = vector.data.repeat(1, 1, height, width)
# </answer 9.1c>

# wrong: mean_over_the_channels
# unlisted: all images | every pixel | sum nor a share
# <answer 9.1c>
spread = vector.mean(dim=1, keepdim=True).expand(-1, vector.shape[1], height, width)
# </answer 9.1c>

# wrong: channels_reversed
# unlisted: all images | every pixel | sum nor a share
# <answer 9.1c>
spread = vector.flip(1).expand(-1, -1, height, width)
# </answer 9.1c>

# wrong: twice_the_rate
# unlisted: one 3x3 branch
# <answer 9.1a>
atrous = [conv_norm_relu(cin, cout, rate=2 * rate, separable=separable) for rate in rates]
self.convs = nn.ModuleList([conv_norm_relu(cin, cout, 1), *atrous, ImagePooling(cin, cout)])
# </answer 9.1a>
