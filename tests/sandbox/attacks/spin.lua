-- Spins in compiled code, where no hook can stop it.
-- expect=timeout test_s=0.5
while true do end
