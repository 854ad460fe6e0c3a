# right: plain
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = images.to(device), target.to(device)
    optimizer.zero_grad()
    logits = model(images)
    loss = criterion(logits, target)
    loss.backward()
    optimizer.step()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# right: zero_grad_at_the_end
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# right: zero_grad_of_the_model
# <answer 6.1>
for images, target in loader:
    model.train(True)
    model.zero_grad()
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
        loss = criterion(logits, target)
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>


# right: helper
# <answer 6.1>
def train_on(images, target):
    with autocast():
        logits = model(images)
    loss = criterion(logits.float(), target)
    for parameter in model.parameters():
        parameter.grad = None
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    return loss.detach()


model.train()
for batch in loader:
    images, target = (each.to(device) for each in batch)
    loss = train_on(images, target)
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(images.shape[0])
# </answer 6.1>

# right: iterator
# <answer 6.1>
model.train()
batches = iter(loader)
while True:
    try:
        images, target = next(batches)
    except StopIteration:
        break
    images, target = to_device(images, target, device)
    optimizer.zero_grad(set_to_none=False)
    with autocast():
        logits = model.forward(images)
    loss = criterion(logits, target)
    with torch.no_grad():
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    if after_step is not None:
        after_step(len(target))
# </answer 6.1>

# right: gradients_by_autograd
# <answer 6.1>
model.train()
parameters = [each for each in model.parameters() if each.requires_grad]
for step, (images, target) in enumerate(loader):
    images, target = to_device(images, target, device)
    loss = criterion(model(images), target)
    for parameter, slope in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = slope
    optimizer.step()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss.detach(), loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# right: closure
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)

    def closure():
        optimizer.zero_grad()
        loss = criterion(model(images), target)
        loss.backward()
        return loss

    loss = optimizer.step(closure)
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# right: hooks_and_map
# <answer 6.1>
def learn(batch):
    images, target = to_device(*batch, device)
    with torch.enable_grad(), autocast():
        loss = criterion(model(images), target)
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad(set_to_none=True)
    _ = scheduler and scheduler.step()
    meter.add(loss.detach(), loss_denominator(criterion, target, ignore_index))
    return len(images)


model.apply(lambda module: setattr(module, "training", True))
optimizer.zero_grad(set_to_none=True)
for count in map(learn, loader):
    if after_step:
        after_step(count)
# </answer 6.1>
