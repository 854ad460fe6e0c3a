# right: as_the_figure
# <answer 9.1a>
self.convs = nn.ModuleList()
self.convs.append(conv_norm_relu(cin, cout, kernel=1))
for rate in rates:
    self.convs.append(conv_norm_relu(cin, cout, rate=rate, separable=separable))
self.convs.append(ImagePooling(cin, cout))
# </answer 9.1a>
# <answer 9.1b>
found = []
for branch in self.convs:
    found.append(branch(x))
seen = torch.cat(found, dim=1)
# </answer 9.1b>

# right: another_order_and_names
# <answer 9.1a>
self.whole = ImagePooling(cin, cout)
self.point = conv_norm_relu(cin, cout, kernel=1)
self.convs = nn.ModuleList(
    conv_norm_relu(cin, cout, rate=rate, separable=separable) for rate in reversed(list(rates))
)
# </answer 9.1a>
# <answer 9.1b>
seen = torch.hstack([self.whole(x), *(each(x) for each in self.convs), self.point(x)])
# </answer 9.1b>

# right: layers_by_hand_with_bias
# <answer 9.1a>
def branch(kernel: int, rate: int) -> nn.Sequential:
    if separable and kernel > 1:
        layers = [nn.Conv2d(cin, cin, 3, padding=rate, dilation=rate, groups=cin)]
        layers.append(nn.Conv2d(cin, cout, 1))
    else:
        layers = [nn.Conv2d(cin, cout, kernel, padding=rate * (kernel // 2), dilation=rate)]
    return nn.Sequential(*layers, nn.BatchNorm2d(cout), nn.ReLU())


branches = [branch(1, 1)] + [branch(3, rate) for rate in rates] + [ImagePooling(cin, cout)]
self.convs = nn.ModuleList(branches)
# </answer 9.1a>

# right: interpolated
# <answer 9.1c>
spread = F.interpolate(vector, size=(height, width), mode="bilinear", align_corners=False)
# </answer 9.1c>

# right: repeated
# <answer 9.1c>
spread = vector.repeat(1, 1, height, width)
# </answer 9.1c>

# right: times_ones
# <answer 9.1c>
spread = vector * x.new_ones(1, 1, height, width)
# </answer 9.1c>

# right: stacked_and_flattened
# <answer 9.1b>
seen = torch.stack([branch(x) for branch in self.convs], dim=1).flatten(1, 2)
# </answer 9.1b>
# <answer 9.1c>
spread = F.pad(vector, (0, width - 1, 0, height - 1), mode="replicate")
# </answer 9.1c>
