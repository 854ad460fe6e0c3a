# right: other_order_bilinear
# <answer 3.4a>
self.upconv = nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), conv_relu_norm(cin, cout))
self.convblock = nn.Sequential(conv_relu_norm(2 * cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>
# <answer 3.4b>
x = self.upconv(x)
x = torch.cat([encoder_features, x], dim=1)
x = self.convblock(x)
# </answer 3.4b>

# right: bilinear_of_the_features_size
# <answer 3.4a>
self.upconv = conv_relu_norm(cin, cout)
self.convblock = nn.Sequential(conv_relu_norm(2 * cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>
# <answer 3.4b>
x = F.interpolate(x, size=encoder_features.shape[-2:], mode="bilinear")
x = self.convblock(torch.cat((self.upconv(x), encoder_features), 1))
# </answer 3.4b>

# right: bicubic
# <answer 3.4a>
self.upconv = nn.Sequential(nn.Upsample(scale_factor=2, mode="bicubic"), conv_relu_norm(cin, cout))
self.convblock = nn.Sequential(conv_relu_norm(2 * cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>
# <answer 3.4b>
x = self.upconv(x)
x = torch.cat([x, encoder_features], dim=1)
x = self.convblock(x)
# </answer 3.4b>

# right: bicubic_aligned
# <answer 3.4a>
self.upconv = nn.Sequential(nn.Upsample(scale_factor=2, mode="bicubic", align_corners=True), conv_relu_norm(cin, cout))
self.convblock = nn.Sequential(conv_relu_norm(2 * cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>
# <answer 3.4b>
x = self.upconv(x)
x = torch.cat([x, encoder_features], dim=1)
x = self.convblock(x)
# </answer 3.4b>

# right: repeat_interleave
# <answer 3.4a>
self.upconv = conv_relu_norm(cin, cout)
self.convblock = nn.Sequential(conv_relu_norm(cin, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>
# <answer 3.4b>
x = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
x = torch.concat([encoder_features, self.upconv(x)], dim=-3)
x = self.convblock(x)
# </answer 3.4b>

# right: fixed_kernel
# <answer 3.4a>
self.register_buffer("kernel", torch.ones(cin, 1, 2, 2))
self.upconv = conv_relu_norm(cin, cout)
self.convblock = nn.Sequential(conv_relu_norm(2 * cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>
# <answer 3.4b>
x = F.conv_transpose2d(x, self.kernel, stride=2, groups=x.shape[1])
x = torch.cat([self.upconv(x), encoder_features], dim=1)
x = self.convblock(x)
# </answer 3.4b>

# right: written_out
# <answer 3.4a>
self.layers = nn.ModuleDict()
for name, above in {"last": cout, "joined": 2 * cout, "up": cin}.items():
    self.layers[name] = nn.Sequential(
        nn.Conv2d(above, cout, 3, padding=1, bias=False), nn.ReLU(inplace=True), nn.BatchNorm2d(cout)
    )
# </answer 3.4a>
# <answer 3.4b>
x = self.layers["up"](F.interpolate(x, scale_factor=2.0, mode="nearest-exact"))
joined = x.new_empty(len(x), 2 * x.shape[1], *x.shape[2:])
joined[:, : x.shape[1]] = encoder_features
joined[:, x.shape[1] :] = x
x = self.layers["last"](self.layers["joined"](joined))
# </answer 3.4b>

# right: kronecker
# <answer 3.4a>
self.upconv = conv_relu_norm(cin, cout)
self.convblock = nn.Sequential(*conv_relu_norm(cin, cout), *conv_relu_norm(cout, cout))
# </answer 3.4a>
# <answer 3.4b>
x = torch.kron(x.contiguous(), x.new_ones(1, 1, 2, 2))
x = self.convblock(torch.hstack([self.upconv(x), encoder_features]))
# </answer 3.4b>
