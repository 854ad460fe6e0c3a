# wrong: batch_axis
# says: expected input
# <answer 3.4b>
x = self.upconv(x)
x = torch.cat([x, encoder_features], dim=0)
x = self.convblock(x)
# </answer 3.4b>

# wrong: batch_axis_that_fits
# says: along the batch
# <answer 3.4a>
self.upconv = nn.Sequential(nn.Upsample(scale_factor=2), conv_relu_norm(cin, cout))
self.convblock = nn.Sequential(conv_relu_norm(cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>
# <answer 3.4b>
x = self.upconv(x)
x = torch.cat([x, encoder_features], dim=0)
x = self.convblock(x)
# </answer 3.4b>

# wrong: height_axis
# says: along the height
# <answer 3.4a>
self.upconv = nn.Sequential(nn.Upsample(scale_factor=2), conv_relu_norm(cin, cout))
self.convblock = nn.Sequential(conv_relu_norm(cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>
# <answer 3.4b>
x = self.upconv(x)
x = torch.cat([x, encoder_features], dim=2)
x = self.convblock(x)
# </answer 3.4b>

# wrong: added
# says: must be concatenated
# <answer 3.4a>
self.upconv = nn.Sequential(nn.Upsample(scale_factor=2), conv_relu_norm(cin, cout))
self.convblock = nn.Sequential(conv_relu_norm(cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>
# <answer 3.4b>
x = self.convblock(self.upconv(x) + encoder_features)
# </answer 3.4b>

# wrong: below_twice
# says: the upsampled features are concatenated twice
# <answer 3.4b>
x = self.upconv(x)
x = torch.cat([x, x], dim=1)
x = self.convblock(x)
# </answer 3.4b>

# wrong: across_twice
# says: the encoder's features are concatenated twice
# <answer 3.4b>
x = self.upconv(x)
x = torch.cat([encoder_features, encoder_features], dim=1)
x = self.convblock(x)
# </answer 3.4b>

# wrong: encoder_ignored
# says: half the channels
# <answer 3.4a>
self.upconv = nn.Sequential(nn.Upsample(scale_factor=2), conv_relu_norm(cin, cout))
self.convblock = nn.Sequential(conv_relu_norm(cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>
# <answer 3.4b>
x = self.convblock(self.upconv(x))
# </answer 3.4b>

# wrong: encoder_zeroed
# says: the other half is something else
# <answer 3.4b>
x = self.upconv(x)
x = torch.cat([x, 0 * encoder_features], dim=1)
x = self.convblock(x)
# </answer 3.4b>

# wrong: across_detached
# says: no detach()
# <answer 3.4b>
x = self.upconv(x)
x = torch.cat([x, encoder_features.detach()], dim=1)
x = self.convblock(x)
# </answer 3.4b>

# wrong: below_detached
# says: no detach()
# <answer 3.4b>
x = self.upconv(x).detach()
x = torch.cat([x, encoder_features], dim=1)
x = self.convblock(x)
# </answer 3.4b>

# wrong: transposed_convolution
# says: the upsampling is learned
# <answer 3.4a>
self.upconv = nn.Sequential(nn.ConvTranspose2d(cin, cout, 2, stride=2), nn.ReLU(), nn.BatchNorm2d(cout))
self.convblock = nn.Sequential(conv_relu_norm(2 * cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>

# wrong: transposed_and_convolution
# says: the upsampling is learned
# <answer 3.4a>
self.upconv = nn.Sequential(nn.ConvTranspose2d(cin, cin, 2, stride=2), conv_relu_norm(cin, cout))
self.convblock = nn.Sequential(conv_relu_norm(2 * cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>

# wrong: pixel_shuffle
# says: (cout, cin, rows, columns)
# <answer 3.4a>
self.upconv = nn.Sequential(conv_relu_norm(cin, 4 * cout), nn.PixelShuffle(2))
self.convblock = nn.Sequential(conv_relu_norm(2 * cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>

# wrong: upsampled_by_4
# says: Sizes of tensors must match
# <answer 3.4a>
self.upconv = nn.Sequential(nn.Upsample(scale_factor=4), conv_relu_norm(cin, cout))
self.convblock = nn.Sequential(conv_relu_norm(2 * cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>

# wrong: by_4_and_cropped
# says: by 4
# <answer 3.4a>
self.upconv = nn.Sequential(nn.Upsample(scale_factor=4), conv_relu_norm(cin, cout))
self.convblock = nn.Sequential(conv_relu_norm(2 * cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>
# <answer 3.4b>
x = self.upconv(x)[:, :, : encoder_features.shape[2], : encoder_features.shape[3]]
x = torch.cat([x, encoder_features], dim=1)
x = self.convblock(x)
# </answer 3.4b>

# wrong: features_shrunk
# says: nothing is upsampled
# <answer 3.4a>
self.upconv = nn.Sequential(conv_relu_norm(cin, cout))
self.convblock = nn.Sequential(conv_relu_norm(2 * cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>
# <answer 3.4b>
x = self.upconv(x)
x = torch.cat([x, F.max_pool2d(encoder_features, 2)], dim=1)
x = self.convblock(x)
# </answer 3.4b>

# wrong: not_upsampled
# says: Sizes of tensors must match
# <answer 3.4a>
self.upconv = nn.Sequential(conv_relu_norm(cin, cout))
self.convblock = nn.Sequential(conv_relu_norm(2 * cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>

# wrong: upsampled_at_the_end
# says: convolution comes before the upsampling
# <answer 3.4a>
self.upconv = nn.Sequential(conv_relu_norm(cin, cout), nn.Upsample(scale_factor=2))
self.convblock = nn.Sequential(conv_relu_norm(2 * cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>

# wrong: fixed_size
# says: Sizes of tensors must match
# <answer 3.4a>
self.upconv = nn.Sequential(nn.Upsample(size=(32, 32)), conv_relu_norm(cin, cout))
self.convblock = nn.Sequential(conv_relu_norm(2 * cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>

# wrong: fixed_size_then_fitted
# says: expected:
# <answer 3.4a>
self.upconv = nn.Sequential(nn.Upsample(size=(32, 32)), conv_relu_norm(cin, cout))
self.convblock = nn.Sequential(conv_relu_norm(2 * cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>
# <answer 3.4b>
x = F.interpolate(self.upconv(x), encoder_features.shape[2:])
x = torch.cat([x, encoder_features], dim=1)
x = self.convblock(x)
# </answer 3.4b>

# wrong: no_convolution_up
# says: a convolution is missing
# <answer 3.4a>
self.upconv = nn.Upsample(scale_factor=2)
self.convblock = nn.Sequential(conv_relu_norm(cin + cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>

# wrong: upconv_keeps_channels
# says: weights
# <answer 3.4a>
self.upconv = nn.Sequential(nn.Upsample(scale_factor=2), conv_relu_norm(cin, cin))
self.convblock = nn.Sequential(conv_relu_norm(cin + cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>

# wrong: one_convolution
# says: a convolution is missing
# <answer 3.4a>
self.upconv = nn.Sequential(nn.Upsample(scale_factor=2), conv_relu_norm(cin, cout))
self.convblock = conv_relu_norm(2 * cout, cout)
# </answer 3.4a>

# wrong: three_convolutions
# says: one convolution too many
# <answer 3.4a>
self.upconv = nn.Sequential(nn.Upsample(scale_factor=2), conv_relu_norm(cin, cout))
self.convblock = nn.Sequential(conv_relu_norm(2 * cout, cout), conv_relu_norm(cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>

# wrong: wide_between
# says: (cout, cin, rows, columns)
# <answer 3.4a>
self.upconv = nn.Sequential(nn.Upsample(scale_factor=2), conv_relu_norm(cin, cout))
self.convblock = nn.Sequential(conv_relu_norm(2 * cout, 2 * cout), conv_relu_norm(2 * cout, cout))
# </answer 3.4a>

# wrong: output_too_wide
# says: back to cout
# <answer 3.4a>
self.upconv = nn.Sequential(nn.Upsample(scale_factor=2), conv_relu_norm(cin, cout))
self.convblock = nn.Sequential(conv_relu_norm(2 * cout, cout), conv_relu_norm(cout, 2 * cout))
# </answer 3.4a>

# wrong: upconv_without_norm
# says: batch normalisation is missing
# <answer 3.4a>
self.upconv = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(cin, cout, 3, padding=1), nn.ReLU())
self.convblock = nn.Sequential(conv_relu_norm(2 * cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>

# wrong: upconv_without_relu
# says: the ReLU is missing
# <answer 3.4a>
self.upconv = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(cin, cout, 3, padding=1), nn.BatchNorm2d(cout))
self.convblock = nn.Sequential(conv_relu_norm(2 * cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>

# wrong: upconv_norm_first
# says: batch normalisation stands before the ReLU
# <answer 3.4a>
self.upconv = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(cin, cout, 3, padding=1), nn.BatchNorm2d(cout), nn.ReLU())
self.convblock = nn.Sequential(conv_relu_norm(2 * cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>

# wrong: upconv_one_by_one
# says: the kernel is 1x1
# <answer 3.4a>
self.upconv = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(cin, cout, 1), nn.ReLU(), nn.BatchNorm2d(cout))
self.convblock = nn.Sequential(conv_relu_norm(2 * cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>

# wrong: upconv_two_by_two
# says: the kernel is 2x2
# <answer 3.4a>
self.upconv = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(cin, cout, 2, padding="same"), nn.ReLU(), nn.BatchNorm2d(cout))
self.convblock = nn.Sequential(conv_relu_norm(2 * cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>

# wrong: convblock_without_relu
# says: the last ReLU is missing
# <answer 3.4a>
self.upconv = nn.Sequential(nn.Upsample(scale_factor=2), conv_relu_norm(cin, cout))
self.convblock = nn.Sequential(conv_relu_norm(2 * cout, cout), nn.Conv2d(cout, cout, 3, padding=1), nn.BatchNorm2d(cout))
# </answer 3.4a>

# wrong: convblock_unused
# says: built but not used
# <answer 3.4b>
x = self.upconv(x)
x = torch.cat([x, encoder_features], dim=1)[:, : x.shape[1]]
# </answer 3.4b>

# wrong: residual
# says: residual
# <answer 3.4b>
x = self.upconv(x)
x = torch.cat([x, encoder_features], dim=1)
x = self.convblock(x)
x = x + encoder_features
# </answer 3.4b>

# wrong: batch_mixed_up
# says: samples of the batch are mixed up
# <answer 3.4b>
x = self.upconv(x)
x = torch.cat([x, encoder_features.flip(0)], dim=1)
x = self.convblock(x)
# </answer 3.4b>

# wrong: features_convolved
# says: expected:
# <answer 3.4b>
x = self.upconv(x)
x = torch.cat([x, self.convblock[1](encoder_features)], dim=1)
x = self.convblock(x)
# </answer 3.4b>

# wrong: hard_coded_64
# says: expected
# <answer 3.4a>
self.upconv = nn.Sequential(nn.Upsample(scale_factor=2), conv_relu_norm(cin, 64))
self.convblock = nn.Sequential(conv_relu_norm(2 * 64, 64), conv_relu_norm(64, 64))
# </answer 3.4a>

# wrong: skip_before_upconv
# says: expected
# <answer 3.4b>
x = torch.cat([x, F.max_pool2d(encoder_features, 2)], dim=1)[:, -x.shape[1] :]
x = self.convblock(torch.cat([self.upconv(x), encoder_features], dim=1))
# </answer 3.4b>

# wrong: tiled
# says: does not keep the picture
# <answer 3.4a>
self.upconv = nn.Sequential(conv_relu_norm(cin, cout))
self.convblock = nn.Sequential(conv_relu_norm(2 * cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>
# <answer 3.4b>
x = self.upconv(x.repeat(1, 1, 2, 2))
x = torch.cat([x, encoder_features], dim=1)
x = self.convblock(x)
# </answer 3.4b>

# wrong: zeros_between
# says: does not keep the picture
# <answer 3.4a>
self.upconv = nn.Sequential(conv_relu_norm(cin, cout))
self.convblock = nn.Sequential(conv_relu_norm(2 * cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>
# <answer 3.4b>
wide = torch.zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
wide[:, :, ::2, ::2] = x
x = torch.cat([self.upconv(wide), encoder_features], dim=1)
x = self.convblock(x)
# </answer 3.4b>

# wrong: dropout
# says: dropout
# <answer 3.4b>
x = self.upconv(x)
x = torch.cat([x, encoder_features], dim=1)
x = F.dropout(self.convblock(x), 0.3, self.training)
# </answer 3.4b>

# wrong: in_place_sum
# says: in place
# <answer 3.4a>
self.upconv = nn.Sequential(nn.Upsample(scale_factor=2), conv_relu_norm(cin, cout))
self.convblock = nn.Sequential(conv_relu_norm(cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>
# <answer 3.4b>
encoder_features += self.upconv(x)
x = self.convblock(encoder_features)
# </answer 3.4b>

# wrong: shared_convolution
# says: one module is used twice
# <answer 3.4a>
shared = conv_relu_norm(cin, cout)
self.upconv = nn.Sequential(nn.Upsample(scale_factor=2), shared)
self.convblock = nn.Sequential(shared, conv_relu_norm(cout, cout))
# </answer 3.4a>

# wrong: features_normalised
# says: the other half is something else
# <answer 3.4b>
x = self.upconv(x)
x = torch.cat([x, F.normalize(encoder_features, dim=1)], dim=1)
x = self.convblock(x)
# </answer 3.4b>

# wrong: layers_in_a_list
# says: use nn.ModuleList
# <answer 3.4a>
self.upconv = nn.Sequential(nn.Upsample(scale_factor=2), conv_relu_norm(cin, cout))
self.layers = [conv_relu_norm(2 * cout, cout), conv_relu_norm(cout, cout)]
# </answer 3.4a>
# <answer 3.4b>
x = torch.cat([self.upconv(x), encoder_features], dim=1)
for layer in self.layers:
    x = layer(x)
# </answer 3.4b>

# wrong: rows_and_columns
# says: expected
# <answer 3.4a>
self.upconv = nn.Sequential(conv_relu_norm(cin, cout))
self.convblock = nn.Sequential(conv_relu_norm(2 * cout, cout), conv_relu_norm(cout, cout))
# </answer 3.4a>
# <answer 3.4b>
x = self.upconv(F.interpolate(x.flip(2), scale_factor=2))
x = torch.cat([x, encoder_features], dim=1)
x = self.convblock(x)
# </answer 3.4b>

# wrong: cropped_centre
# says: Sizes of tensors must match
# <answer 3.4b>
x = self.upconv(x)[:, :, 1:-1, 1:-1]
x = torch.cat([x, encoder_features], dim=1)
x = self.convblock(x)
# </answer 3.4b>

# wrong: interleaved
# says: alternate
# <answer 3.4b>
x = self.upconv(x)
x = torch.stack([encoder_features, x], dim=2).flatten(1, 2)
x = self.convblock(x)
# </answer 3.4b>

# wrong: keras_last_axis
# says: along the width
# <answer 3.4b>
x = self.upconv(x)
x = torch.cat([encoder_features, x], dim=-1)
x = self.convblock(x)
# </answer 3.4b>

# wrong: float32_buffer
# says: raised
# <answer 3.4b>
x = self.upconv(x)
batch, channels, height, width = x.shape
joined = torch.zeros(batch, 2 * channels, height, width)
joined[:, :channels] = encoder_features
joined[:, channels:] = x
x = self.convblock(joined)
# </answer 3.4b>
