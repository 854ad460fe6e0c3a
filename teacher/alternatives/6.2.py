# right: inference_mode
# <answer 6.2>
was_training = model.training
model.eval()
with torch.inference_mode():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>

# right: a_copy_is_judged
# <answer 6.2>
import copy

judged = copy.deepcopy(model).eval()
with torch.no_grad():
    for images, target in loader:
        images, target = images.to(device), target.to(device)
        logits = judged(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.max(dim=1).indices, target)
# </answer 6.2>


# right: helper_with_a_decorator
# <answer 6.2>
@torch.no_grad()
def judge(images, target):
    with autocast():
        logits = model(images)
    meter.add(criterion(logits, target), loss_denominator(criterion, target, ignore_index))
    confusion.update(torch.argmax(logits.softmax(1), 1).byte(), target.cpu())


modes = {each: each.training for each in model.modules()}
model.eval()
for batch in loader:
    images, target = to_device(*batch, device)
    judge(images, target)
for each, mode in modes.items():
    each.training = mode
# </answer 6.2>

# right: gradients_switched_off_and_on
# <answer 6.2>
was_training = model.training
model.train(False)
was_enabled = torch.is_grad_enabled()
torch.set_grad_enabled(False)
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    confusion.update(logits.argmax(dim=1), target)
torch.set_grad_enabled(was_enabled)
if was_training:
    model.train()
# </answer 6.2>

# right: numpy_classes
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        guess = torch.from_numpy(logits.float().cpu().numpy().argmax(axis=1))
        confusion.update(guess, target.cpu())
model.train(was_training)
# </answer 6.2>

# right: own_sums
# <answer 6.2>
was_training = model.training
model.eval()
numerator = denominator = 0.0
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        logits = model(images)
        weight = float(loss_denominator(criterion, target, ignore_index))
        numerator += criterion(logits, target).item() * weight
        denominator += weight
        confusion.update(logits.topk(1, dim=1).indices[:, 0], target)
model.train(was_training)
return numerator / max(denominator, 1e-12), confusion.matrix
# </answer 6.2>

# right: own_matrix
# <answer 6.2>
was_training = model.training
model.eval()
matrix = torch.zeros(num_classes, num_classes, dtype=torch.int64)
for images, target in loader:
    with torch.no_grad(), autocast():
        images, target = to_device(images, target, device)
        logits = model(images)
        loss = criterion(logits.float(), target)
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    is_valid = target != ignore_index
    pair = target[is_valid].cpu().long(), logits.argmax(1)[is_valid].cpu()
    matrix.index_put_(pair, torch.tensor(1), accumulate=True)
model.train(was_training)
return meter.mean(), matrix
# </answer 6.2>
