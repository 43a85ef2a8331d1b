x = 1 +
y = noise(-1)
z = nan*x + inf
