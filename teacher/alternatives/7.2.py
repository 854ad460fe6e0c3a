# right: zero_padding
# <answer 7.2a>
small = resize_image(image, (height, width))
normalised = (small / 255.0 - self.mean) / self.std
below, right = -height % self.stride, -width % self.stride
padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="constant")
network_input = padded.transpose(2, 0, 1).astype(np.float32)
# </answer 7.2a>

# right: step_by_step
# <answer 7.2a>
import cv2 as resizer

shrinks = height < image.shape[0]
method = resizer.INTER_AREA if shrinks else resizer.INTER_LINEAR
small = resizer.resize(image, (width, height), interpolation=method).astype(np.float32) / 255
rows = math.ceil(height / self.stride) * self.stride
columns = math.ceil(width / self.stride) * self.stride
network_input = np.zeros((3, rows, columns), dtype=np.float32)
for channel in range(3):
    values = (small[:, :, channel] - self.mean[channel]) / self.std[channel]
    network_input[channel, :height, :width] = values
# </answer 7.2a>

# right: padded_before_normalising
# <answer 7.2a>
small = resize_image(image, (height, width))
below = (self.stride - height % self.stride) % self.stride
right = (self.stride - width % self.stride) % self.stride
small = cv2.copyMakeBorder(small, 0, below, 0, right, cv2.BORDER_REPLICATE)
channels_first = np.moveaxis(small, -1, 0).astype(np.float32) / 255
network_input = (channels_first - self.mean[:, None, None]) / self.std[:, None, None]
# </answer 7.2a>

# right: logits_resized_by_cv2
# <answer 7.2b>
wide = [
    cv2.resize(one[:height, :width], (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    for one in logits
]
train_ids = np.stack(wide).argmax(axis=0).astype(np.uint8)
# </answer 7.2b>

# right: cubic_logits
# <answer 7.2b>
wide = [cv2.resize(one[:height, :width], size[::-1], interpolation=cv2.INTER_CUBIC) for one in logits]
train_ids = np.argmax(wide, axis=0).astype("uint8")
# </answer 7.2b>

# right: torch_interpolation
# <answer 7.2b>
import torch

small = torch.from_numpy(np.ascontiguousarray(logits[:, :height, :width]))[None]
wide = torch.nn.functional.interpolate(small, size=tuple(size), mode="bilinear")
train_ids = wide[0].argmax(dim=0).to(torch.uint8).numpy()
# </answer 7.2b>

# right: torch_aligned_corners
# <answer 7.2b>
import torch

small = torch.from_numpy(logits[None, :, :height, :width].copy())
wide = torch.nn.functional.interpolate(small, size=size, mode="bilinear", align_corners=True)
train_ids = wide.argmax(dim=1)[0].byte().numpy()
# </answer 7.2b>

# right: rows_repeated_by_an_index
# <answer 7.2a>
small = resize_image(image, (height, width)).astype(np.float32)
scale = 1 / (255 * self.std)
shift = -self.mean / self.std
rows = np.arange(height + -height % self.stride).clip(max=height - 1)
columns = np.arange(width + -width % self.stride).clip(max=width - 1)
values = small[rows[:, None], columns] * scale + shift
network_input = np.ascontiguousarray(np.rollaxis(values, 2)).astype(np.float32)
# </answer 7.2a>
