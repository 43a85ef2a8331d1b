# farm
rain = 100 + noise(20)
irrigation = 80 - 0.5*rain + noise(5)
harvest = 1e1 + 0.2*rain - -0.3*irrigation + noise(4)
