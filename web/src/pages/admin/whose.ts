// Whose tokens or sessions a page shows; kept in the address.
import { computed, type WritableComputedRef } from 'vue';
import { useRoute, useRouter } from 'vue-router';

export function useWhose(): WritableComputedRef<string | null> {
  const route = useRoute();
  const router = useRouter();
  return computed({
    get: () => {
      const { user } = route.query;
      return typeof user === 'string' && user !== '' ? user : null;
    },
    set: (to) => void router.replace({ query: { ...route.query, user: to ?? undefined } }),
  });
}
