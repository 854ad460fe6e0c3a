# wrong: bgr
# says: read as BGR
# <answer 7.2a>
small = resize_image(image[..., ::-1], (height, width))
normalised = (small / np.float32(255) - self.mean) / self.std
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: cvt_color
# says: read as BGR
# <answer 7.2a>
small = cv2.cvtColor(resize_image(image, (height, width)), cv2.COLOR_RGB2BGR)
normalised = (small / np.float32(255) - self.mean) / self.std
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: not_divided
# says: not divided by 255
# <answer 7.2a>
small = resize_image(image, (height, width))
normalised = (small.astype(np.float32) - self.mean) / self.std
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: divided_twice
# says: by 255 twice
# <answer 7.2a>
small = resize_image(image, (height, width))
normalised = (small / np.float32(255) / np.float32(255) - self.mean) / self.std
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: not_normalised
# says: mean and std are missing
# <answer 7.2a>
small = resize_image(image, (height, width))
normalised = small / np.float32(255)
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: std_missing
# says: the division by std is missing
# <answer 7.2a>
small = resize_image(image, (height, width))
normalised = (small / np.float32(255) - self.mean)
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: mean_missing
# says: the mean is not subtracted
# <answer 7.2a>
small = resize_image(image, (height, width))
normalised = small / np.float32(255) / self.std
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: mean_and_std_swapped
# says: mean and std are swapped
# <answer 7.2a>
small = resize_image(image, (height, width))
normalised = (small / np.float32(255) - self.std) / self.mean
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: normalised_twice
# says: normalised twice
# <answer 7.2a>
small = resize_image(image, (height, width))
normalised = (small / np.float32(255) - self.mean) / self.std
normalised = (normalised - self.mean) / self.std
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: imagenet
# says: these are ImageNet's
# <answer 7.2a>
small = resize_image(image, (height, width))
normalised = (small / np.float32(255) - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: multiplied_by_std
# says: multiplied by std
# <answer 7.2a>
small = resize_image(image, (height, width))
normalised = (small / np.float32(255) - self.mean) * self.std
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: integer_division
# says: expected
# <answer 7.2a>
small = resize_image(image, (height, width))
normalised = ((small // 255).astype(np.float32) - self.mean) / self.std
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: minus_one_to_one
# says: scaled to -1
# <answer 7.2a>
small = resize_image(image, (height, width))
normalised = small / np.float32(127.5) - 1
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: own_statistics
# says: expected
# <answer 7.2a>
small = resize_image(image, (height, width))
normalised = ((small - small.mean()) / (small.std() + 1e-6)).astype(np.float32)
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: float64
# says: float64
# <answer 7.2a>
small = resize_image(image, (height, width))
normalised = (small / 255.0 - self.mean.astype(float)) / self.std
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: plain_255
# says: float32
# <answer 7.2a>
small = resize_image(image, (height, width))
normalised = (small.astype(float) / 255 - self.mean) / self.std
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: reshape
# says: reshape mixes
# <answer 7.2a>
small = resize_image(image, (height, width))
normalised = (small / np.float32(255) - self.mean) / self.std
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.reshape(3, *padded.shape[:2])
# </answer 7.2a>

# wrong: transposed_wrongly
# says: expected
# <answer 7.2a>
small = resize_image(image, (height, width))
normalised = (small / np.float32(255) - self.mean) / self.std
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 1, 0)
# </answer 7.2a>

# wrong: no_transpose
# says: the channels must come first
# <answer 7.2a>
small = resize_image(image, (height, width))
normalised = (small / np.float32(255) - self.mean) / self.std
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded
# </answer 7.2a>

# wrong: size_swapped
# says: swapped
# <answer 7.2a>
small = cv2.resize(image, (height, width))
normalised = (small / np.float32(255) - self.mean) / self.std
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: size_swapped_and_padded_so
# says: swapped
# <answer 7.2a>
small = cv2.resize(image, (height, width))
normalised = (small / np.float32(255) - self.mean) / self.std
below, right = -width % self.stride, -height % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: not_resized
# says: the photo is not resized
# <answer 7.2a>
height, width = image.shape[:2]
small = image
normalised = (small / np.float32(255) - self.mean) / self.std
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: training_size
# says: aspect is lost
# <answer 7.2a>
height, width = self.size
small = resize_image(image, (height, width))
normalised = (small / np.float32(255) - self.mean) / self.std
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: not_padded
# says: the padding to multiples
# <answer 7.2a>
small = resize_image(image, (height, width))
normalised = (small / np.float32(255) - self.mean) / self.std
below, right = 0, 0
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: padded_by_the_remainder
# says: expected
# <answer 7.2a>
small = resize_image(image, (height, width))
normalised = (small / np.float32(255) - self.mean) / self.std
below, right = height % self.stride, width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: padding_swapped
# says: padding
# <answer 7.2a>
small = resize_image(image, (height, width))
normalised = (small / np.float32(255) - self.mean) / self.std
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, right), (0, below), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: padded_above_and_left
# says: above and on the left
# <answer 7.2a>
small = resize_image(image, (height, width))
normalised = (small / np.float32(255) - self.mean) / self.std
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((below, 0), (right, 0), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: padded_around
# says: expected
# <answer 7.2a>
small = resize_image(image, (height, width))
normalised = (small / np.float32(255) - self.mean) / self.std
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((below // 2, below - below // 2), (right // 2, right - right // 2), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: resized_to_the_stride
# says: expected:
# <answer 7.2a>
height, width = (each + -each % self.stride for each in (height, width))
small = resize_image(image, (height, width))
normalised = (small / np.float32(255) - self.mean) / self.std
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: cut_to_the_stride
# says: cut to multiples
# <answer 7.2a>
small = resize_image(image, (height, width))
height, width = (max(self.stride, each - each % self.stride) for each in (height, width))
small = small[:height, :width]
normalised = (small / np.float32(255) - self.mean) / self.std
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: width_not_padded
# says: the width is not padded
# <answer 7.2a>
small = resize_image(image, (height, width))
normalised = (small / np.float32(255) - self.mean) / self.std
below, right = -height % self.stride, 0
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: mirrored
# says: left and right are exchanged
# <answer 7.2a>
small = resize_image(image[:, ::-1], (height, width))
normalised = (small / np.float32(255) - self.mean) / self.std
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: clipped
# says: expected
# <answer 7.2a>
small = resize_image(image, (height, width))
normalised = (small / np.float32(255) - self.mean) / self.std
normalised = normalised.clip(0, 1)
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: rounded_to_bytes
# says: expected
# <answer 7.2a>
small = resize_image(image, (height, width))
normalised = (small / np.float32(255) - self.mean) / self.std
normalised = normalised.round()
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: not_cropped
# says: not cropped off
# <answer 7.2b>
train_ids = upsample_argmax(logits, size)
# </answer 7.2b>

# wrong: cropped_to_the_photo
# says: not cropped off
# <answer 7.2b>
train_ids = upsample_argmax(logits[:, : size[0], : size[1]], size)
# </answer 7.2b>

# wrong: crop_swapped
# says: expected
# <answer 7.2b>
train_ids = upsample_argmax(logits[:, :width, :height], size)
# </answer 7.2b>

# wrong: crop_from_the_end
# says: expected
# <answer 7.2b>
train_ids = upsample_argmax(logits[:, -height:, -width:], size)
# </answer 7.2b>

# wrong: labels_resized
# says: the labels are resized
# <answer 7.2b>
labels = logits[:, :height, :width].argmax(axis=0).astype(np.uint8)
train_ids = cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST)
# </answer 7.2b>

# wrong: labels_resized_linearly
# says: expected
# <answer 7.2b>
labels = logits[:, :height, :width].argmax(axis=0).astype(np.uint8)
train_ids = cv2.resize(labels, size[::-1])
# </answer 7.2b>

# wrong: probabilities_enlarged
# says: probabilities
# <answer 7.2b>
small = np.exp(logits[:, :height, :width] - logits.max(axis=0)[:height, :width])
train_ids = upsample_argmax(small / small.sum(axis=0), size)
# </answer 7.2b>

# wrong: nearest_logits
# says: nearest neighbour
# <answer 7.2b>
small = logits[:, :height, :width]
rows = np.arange(size[0]) * height // size[0]
columns = np.arange(size[1]) * width // size[1]
train_ids = upsample_argmax(small[:, rows][:, :, columns], size)
# </answer 7.2b>

# wrong: argmax_over_the_rows
# says: expected
# <answer 7.2b>
train_ids = logits[:, :height, :width].argmax(axis=1).astype(np.uint8)
# </answer 7.2b>

# wrong: argmax_over_the_columns
# says: expected
# <answer 7.2b>
train_ids = logits[:, :height, :width].argmax(axis=-1).astype(np.uint8)
# </answer 7.2b>

# wrong: argmin
# says: expected
# <answer 7.2b>
train_ids = upsample_argmax(-logits[:, :height, :width], size)
# </answer 7.2b>

# wrong: int64
# says: uint8
# <answer 7.2b>
train_ids = upsample_argmax(logits[:, :height, :width], size).astype(np.int64)
# </answer 7.2b>

# wrong: network_size_kept
# says: own size
# <answer 7.2b>
train_ids = upsample_argmax(logits[:, :height, :width], (height, width))
# </answer 7.2b>

# wrong: photo_size_swapped
# says: height and width are swapped
# <answer 7.2b>
train_ids = upsample_argmax(logits[:, :height, :width], size[::-1])
# </answer 7.2b>

# wrong: ids_from_one
# says: expected
# <answer 7.2b>
train_ids = (upsample_argmax(logits[:, :height, :width], size) + 1).astype(np.uint8)
# </answer 7.2b>

# wrong: uncropped_labels_cut
# says: expected
# <answer 7.2b>
train_ids = upsample_argmax(logits, logits.shape[1:])[: size[0], : size[1]]
# </answer 7.2b>

# wrong: thresholded
# says: expected
# <answer 7.2b>
train_ids = (upsample_argmax(logits[:, :height, :width], size) > 0).astype(np.uint8)
# </answer 7.2b>

# wrong: training_size_after
# says: expected
# <answer 7.2b>
height, width = self.size
train_ids = upsample_argmax(logits[:, :height, :width], size)
# </answer 7.2b>

# wrong: photo_changed
# says: stays as it is
# <answer 7.2a>
image //= 2
small = resize_image(image, (height, width))
normalised = (small / np.float32(255) - self.mean) / self.std
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: divided_by_256
# says: divided by 256
# <answer 7.2a>
small = resize_image(image, (height, width))
normalised = (small / np.float32(256) - self.mean) / self.std
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: parentheses_forgotten
# says: needs parentheses
# <answer 7.2a>
small = resize_image(image, (height, width))
normalised = small / np.float32(255) - self.mean / self.std
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: grey_photo
# unlisted: grey
# <answer 7.2a>
small = resize_image(image, (height, width))
small = np.repeat(small.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
normalised = (small / np.float32(255) - self.mean) / self.std
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>

# wrong: padded_when_it_fits
# unlisted: whole stride
# <answer 7.2a>
small = resize_image(image, (height, width))
normalised = (small / np.float32(255) - self.mean) / self.std
below = self.stride - height % self.stride
right = self.stride - width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
network_input = padded.transpose(2, 0, 1)
# </answer 7.2a>
